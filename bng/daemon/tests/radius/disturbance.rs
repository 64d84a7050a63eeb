//! A wire between gateway and server that delays or swallows datagrams.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{net::UdpSocket, task::JoinSet};

/// What becomes of datagrams.
#[derive(Clone, Copy)]
pub enum Mode {
    /// They pass.
    Pass,
    /// Replies come so much later.
    Late(Duration),
    /// Nothing passes, and nothing says so.
    BlackHole,
}

/// See the module. Gone when dropped.
pub struct Wire {
    /// Where the server seems to be.
    pub address: SocketAddr,
    mode: Arc<Mutex<Mode>>,
    _tasks: JoinSet<()>,
}

impl Wire {
    /// To this server.
    pub async fn to(server: SocketAddr, mode: Mode) -> Self {
        let front = Arc::new(UdpSocket::bind(("127.0.0.1", 0)).await.unwrap());
        let address = front.local_addr().unwrap();
        let mode = Arc::new(Mutex::new(mode));
        let mut tasks = JoinSet::new();
        tasks.spawn(carry(front, server, mode.clone()));
        Self { address, mode, _tasks: tasks }
    }

    /// From now on.
    pub fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }
}

async fn carry(front: Arc<UdpSocket>, server: SocketAddr, mode: Arc<Mutex<Mode>>) {
    let mut ways: BTreeMap<SocketAddr, Arc<UdpSocket>> = BTreeMap::new();
    let mut backwards = JoinSet::new();
    let mut room = [0; 4096];
    loop {
        let Ok((length, client)) = front.recv_from(&mut room).await else { continue };
        if matches!(*mode.lock().unwrap(), Mode::BlackHole) {
            continue;
        }
        if let Entry::Vacant(vacant) = ways.entry(client) {
            let way = Arc::new(UdpSocket::bind(("127.0.0.1", 0)).await.unwrap());
            way.connect(server).await.unwrap();
            backwards.spawn(back(way.clone(), front.clone(), client, mode.clone()));
            vacant.insert(way);
        }
        let _ = ways[&client].send(&room[..length]).await;
    }
}

async fn back(way: Arc<UdpSocket>, front: Arc<UdpSocket>, client: SocketAddr, mode: Arc<Mutex<Mode>>) {
    let mut room = [0; 4096];
    let mut late = JoinSet::new();
    loop {
        let Ok(length) = way.recv(&mut room).await else { continue };
        let mode = *mode.lock().unwrap();
        match mode {
            Mode::Pass => drop(front.send_to(&room[..length], client).await),
            Mode::BlackHole => {}
            Mode::Late(by) => {
                let (front, datagram) = (front.clone(), room[..length].to_vec());
                late.spawn(async move {
                    tokio::time::sleep(by).await;
                    let _ = front.send_to(&datagram, client).await;
                });
            }
        }
    }
}
