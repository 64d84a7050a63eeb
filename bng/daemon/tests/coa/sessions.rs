//! The sessions that the gateway under test finds in its journal: made by a machine, from what DHCP and RADIUS say.

use std::{net::Ipv4Addr, path::Path};

use lastmile_bng::{
    journal::{Entry, Journal},
    time::{boot_id, boot_ms, now},
};
use lastmile_session::*;
use lastmile_types::{InstanceId, MacAddr, Octets, SessionId, config::BngConfig};
use uuid::Uuid;

const KEA: Ipv4Addr = Ipv4Addr::new(10, 231, 1, 2);

/// `line-01` (gold), `line-02` (gold), `line-03` (RADIUS has not answered), and two subscribers of `line-04` (gold).
pub const LINES: [(u8, u8); 5] = [(1, 1), (2, 2), (3, 3), (4, 4), (5, 4)];

/// The address of the subscriber on a port.
pub fn address(port: u8) -> Ipv4Addr {
    Ipv4Addr::new(100, 64, 1, 50 + port)
}

/// Writes the journal; `drained` = a drain has ended them all.
pub fn seed(state: &Path, config: &BngConfig, drained: bool) {
    let (mut journal, _) = Journal::open(state, InstanceId(Uuid::now_v7())).unwrap();
    journal.append(&[Entry::Opened { boot_id: boot_id() }]).unwrap();
    let settings = Settings { config: config.clone(), own: vec![[10, 231, 11, 1].into()] };
    let mut machine = Machine::new(settings, Snapshot::default());
    let mut tell = |input: Input| {
        let mut queue = vec![input];
        let mut asked = Vec::new();
        while let Some(input) = queue.pop() {
            let mut effects = Effects::default();
            machine.handle(now(), input, &mut effects);
            if !effects.record.is_empty() {
                journal.append(&[Entry::Record(Box::new(effects.record))]).unwrap();
            }
            for action in effects.actions {
                match action {
                    Action::Authenticate(request) => asked.push(request),
                    Action::Evict { session, .. } => queue.push(Input::Evicted { session, counters: None }),
                    _ => {}
                }
            }
        }
        asked
    };
    tell(Input::Started(Started { same_boot: true, last_boot_ms: boot_ms(), elements: vec![] }));
    for (port, line) in LINES {
        tell(Input::Dhcp(Box::new(request(port, line))));
        for asked in tell(Input::Dhcp(Box::new(ack(port, line)))) {
            let grant = Grant { filter_id: Some("gold".to_owned()), ..Grant::default() };
            if line != 3 {
                let answer = AuthAnswer::Accept(Box::new(grant));
                tell(Input::Auth { session: asked.session, attempt: asked.attempt, answer });
            }
        }
    }
    if drained {
        tell(Input::Drain);
    }
    journal.flush().unwrap();
}

/// The session of the subscriber on a port.
pub fn of(snapshot: &Snapshot, port: u8) -> Option<(SessionId, &Session)> {
    let ip = address(port);
    snapshot.sessions.iter().find(|(_, session)| session.ip == ip).map(|(id, session)| (*id, &**session))
}

fn request(port: u8, line: u8) -> DhcpMessage {
    let (circuit, remote) = (format!("ar-01|1/{port}"), format!("line-{line:02}"));
    let raw = [&[1, circuit.len() as u8][..], circuit.as_bytes(), &[2, remote.len() as u8], remote.as_bytes()].concat();
    DhcpMessage {
        side: Side::Subscriber,
        kind: DhcpKind::Request,
        xid: port.into(),
        hops: 1,
        broadcast: false,
        chaddr: MacAddr([2, 0, 0x5e, 0, 0, port]),
        ciaddr: Ipv4Addr::UNSPECIFIED,
        yiaddr: Ipv4Addr::UNSPECIFIED,
        giaddr: [100, 64, 1, 1].into(),
        server_id: None,
        requested_ip: Some(address(port)),
        lease_seconds: None,
        relay_info: Some(RelayInfo {
            circuit_id: Some(Octets::from(circuit.as_str())),
            remote_id: Some(Octets::from(remote.as_str())),
            raw: raw.into(),
        }),
        hostname: None,
        source_mac: MacAddr([2, 0, 0, 0, 0, 9]),
        source_ip: [10, 231, 11, 2].into(),
        destination_ip: KEA,
    }
}

fn ack(port: u8, line: u8) -> DhcpMessage {
    DhcpMessage {
        side: Side::Server,
        kind: DhcpKind::Ack,
        yiaddr: address(port),
        server_id: Some(KEA),
        lease_seconds: Some(3600),
        source_ip: KEA,
        relay_info: None,
        ..request(port, line)
    }
}
