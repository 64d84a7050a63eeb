//! Interfaces, routes and echo.

use std::time::Duration;

use lastmile_netio::{
    links::{LinkChange, LinkWatch, Links},
    neighbours::Neighbours,
    ping::Pinger,
    routes::{Route, Routes},
};
use lastmile_types::MacAddr;
use tokio::time::timeout;

use crate::netns::Bench;

#[test]
fn interfaces_are_read_and_watched() {
    let bench = Bench::new();
    bench.within_async("gateway", async || {
        let links = Links::open().unwrap();
        let link = links.get("access0").await.unwrap().unwrap();
        assert!(link.up);
        assert_eq!((link.mtu, link.addresses.as_slice()), (1500, &["100.64.1.1/24".parse().unwrap()][..]));
        assert_ne!(link.mac.0, [0; 6]);
        assert_eq!(links.get("nope0").await.unwrap(), None);

        let mut watch = LinkWatch::open().unwrap();
        bench.ip("subscriber", "link set eth0 down");
        let changed = async {
            while watch.changed().await.index != link.index || links.get("access0").await.unwrap().unwrap().up {}
        };
        timeout(Duration::from_secs(2), changed).await.unwrap();
    });
}

/// A link that was down and is up again looks as before, and has forgotten what was bound to it.
#[test]
fn a_short_fall_of_an_interface_is_seen() {
    let bench = Bench::new();
    bench.within_async("gateway", async || {
        let index = Links::open().unwrap().get("access0").await.unwrap().unwrap().index;
        let neighbours = Neighbours::open().unwrap();
        let ip = [100, 64, 1, 77].into();
        neighbours.pin(index, ip, MacAddr([2, 0, 0, 0, 0, 0x77])).await.unwrap();
        let mut watch = LinkWatch::open().unwrap();
        bench.ip("gateway", "link set access0 down");
        bench.ip("gateway", "link set access0 up");
        let fell = async { while watch.changed().await != (LinkChange { index, down: true }) {} };
        timeout(Duration::from_secs(10), fell).await.unwrap();
        let left = neighbours.list(index).await.unwrap();
        assert!(left.iter().all(|neighbour| neighbour.ip != ip), "the kernel forgets even what is permanent: {left:?}");
    });
}

#[test]
fn routes_are_ours_alone() {
    let bench = Bench::new();
    bench.within_async("gateway", async || {
        let routes = Routes::open().unwrap();
        assert_eq!(routes.list().await.unwrap(), []);
        let prefix = "100.64.9.0/24".parse().unwrap();
        let mut route = Route { prefix, next_hop: Some([100, 64, 1, 10].into()), interface: "access0".to_owned() };
        routes.replace(&route).await.unwrap();
        route.next_hop = Some([100, 64, 1, 11].into());
        routes.replace(&route).await.unwrap();
        assert_eq!(routes.list().await.unwrap(), [prefix]);
        routes.remove("198.51.100.0/24".parse().unwrap()).await.unwrap();
        let others = std::process::Command::new("ip").args(["route", "show", "198.51.100.0/24"]).output().unwrap();
        assert!(!others.stdout.is_empty(), "somebody else's route stays");
        routes.remove(prefix).await.unwrap();
        routes.remove(prefix).await.unwrap();
        assert_eq!(routes.list().await.unwrap(), []);
    });
}

#[test]
fn echo_comes_back_or_not() {
    let bench = Bench::new();
    bench.within_async("gateway", async || {
        let pinger = Pinger::open().unwrap();
        let within = Duration::from_millis(300);
        let (here, other, gone) = tokio::join!(
            pinger.ping([100, 64, 1, 10].into(), within),
            pinger.ping([192, 0, 2, 2].into(), within),
            pinger.ping([100, 64, 1, 99].into(), within)
        );
        assert!(here.unwrap().unwrap() < within);
        assert!(other.unwrap().is_some());
        assert_eq!(gone.unwrap(), None);
        assert!(pinger.ping([203, 0, 113, 1].into(), within).await.is_err(), "no route");
    });
}
