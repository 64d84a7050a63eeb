//! On the same bed: a router that sends what another one's subscribers should send is named in `/metrics`.

use std::net::UdpSocket;

use serde_json::json;

use crate::{
    bed::{Bed, config, parsed},
    sessions,
};

const OTHER_MAC: &str = "02:00:00:00:00:33";

#[test]
fn a_router_that_sends_as_anothers_subscriber_is_named() {
    let mut two = config();
    let other = json!({"prefix": "100.64.2.0/24", "gateway": "100.64.2.1", "nextHop": "10.231.11.3"});
    two["pools"].as_array_mut().unwrap().push(other);
    let bed = Bed::without_gateway();
    // Each router answers for its own address only, and asks by it.
    bed.output("servers", "sysctl", &["-w", "net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2"]);
    bed.ip("servers", "addr add 10.231.11.2/24 dev access0");
    bed.ip("servers", &format!("link add link access0 name other address {OTHER_MAC} type macvlan mode bridge"));
    bed.ip("servers", "addr add 10.231.11.3/24 dev other");
    bed.ip("servers", "addr add 100.64.1.51/32 dev other");
    bed.ip("servers", "link set other up");
    bed.ip("servers", "route add 198.51.100.0/24 via 10.231.11.1 dev other src 100.64.1.51");
    bed.configure(&two);
    sessions::seed(&bed.state(), &parsed(&two), false);
    let bed = bed.running();
    let known = || bed.output("gateway", "nft", &["list", "ruleset"]).contains(OTHER_MAC);
    bed.eventually("the gateway knows the other router", known);

    let socket = bed.within("servers", || UdpSocket::bind((sessions::address(1), 0)).unwrap());
    for _ in 0..3 {
        socket.send_to(b"not from here", "198.51.100.1:9").unwrap();
    }
    let spoofed = |by: &str| bed.metric(&format!("lastmile_bng_spoofed_packets_total{{router=\"{by}\"}}"));
    bed.eventually("what it sent is counted for it", || spoofed("10.231.11.3") == Some(3));
    assert_eq!((spoofed("10.231.11.2"), spoofed("unknown")), (Some(0), Some(0)));
}
