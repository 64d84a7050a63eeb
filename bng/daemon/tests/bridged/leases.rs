//! Kea's leases and the gateway's sessions: where they differ the sessions are healed, and it is said; what it costs Kea.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    time::Instant,
};

use lastmile_netio::capture::FrameSender;
use lastmile_types::MacAddr;
use lastmile_wire::{
    dhcp::{Builder, CLIENT_PORT, MessageType, SERVER_PORT},
    frame,
    option82::Option82,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    bed::{Bed, SERVERS, wait},
    sql::row,
};

const NAS: &str = "127.0.87.1";
const SECONDS: u32 = 600;

#[test]
fn what_differed_while_the_gateway_was_away_is_healed_and_said() {
    let mut bed = Bed::new();
    bed.kea_of("kea", SERVERS[0], ["10-100.64.1.99", "10-100.64.2.99"], SECONDS);
    bed.gateway_addresses();
    let fields = json!({ "nasIpAddress": NAS, "kea": bed.control_agent() });
    let gateway = bed.gateway_with(fields.clone());
    opened(&bed, 1);
    bed.relay();
    let clients = ["sub1", "sub2", "sub3"].map(|name| bed.client(name, "udhcpc"));
    wait("all to be let through", || ["sub1", "sub2", "sub3"].iter().all(|name| bed.online(name)));
    let [gone, before, released] = ["sub1", "sub2", "sub3"].map(|name| bed.bound(name));
    let lease = |ip| bed.tell_kea("lease4-get", json!({ "ip-address": ip }));
    let (moves, ends) = (lease(before), lease(released));
    bed.signal(clients[2], Signal::SIGTERM);
    wait("its release", || !bed.online("sub3"));

    bed.killed(gateway);
    bed.tell_kea("lease4-del", json!({ "ip-address": gone }));
    let [after, missed, nobodys] = [(1, 150), (2, 151), (2, 152)].map(|(net, last)| Ipv4Addr::new(100, 64, net, last));
    let expire = |lease: &Value, later: u64| lease["cltt"].as_u64().unwrap() + u64::from(SECONDS) + later;
    has(&bed, after, json!({ "expire": expire(&moves, 5) }), &moves);
    has(&bed, released, json!({ "expire": expire(&ends, 0) }), &ends);
    let info = Option82::of(b"ar-01|1/4", b"line-04").encode().unwrap();
    let info: String = info.iter().map(|octet| format!("{octet:02X}")).collect();
    let context = json!({ "ISC": { "relay-agent-info": format!("0x{info}") } });
    has(&bed, missed, json!({ "user-context": context }), &json!({ "hw-address": bed.mac("sub4") }));
    has(&bed, nobodys, json!({}), &json!({ "hw-address": "02:00:5e:00:00:99" }));

    bed.gateway_with(fields);
    opened(&bed, 2);
    let healed = |kind| bed.metric(&format!("lastmile_bng_lease_drift_total{{kind=\"{kind}\"}}"));
    wait("the drift to be healed", || ["adopted", "stopped", "moved"].map(healed) == [Some(1); 3]);
    // Those of the one who moved, and of the three that are not his.
    let last = ["leases", "leases_ended_here", "leases_unattributed"];
    wait("what is left to be said", || {
        last.map(|name| bed.metric(&format!("lastmile_bng_{name}"))) == [Some(5), Some(1), Some(1)]
    });
    wait("its condition", || compared(&bed));

    bed.ip("sub2", &format!("addr add {after}/24 dev eth0"));
    bed.ip("sub4", &format!("addr add {missed}/24 dev eth0"));
    bed.ip("sub4", "route add default via 100.64.2.1");
    wait("whom the leases name to be let through", || {
        bed.online_from("sub2", &after.to_string()) && bed.online_from("sub4", &missed.to_string())
    });
    assert!(!bed.online("sub1"), "its lease is gone");
    assert!(!bed.online_from("sub2", &before.to_string()), "it has another lease");
    assert!(!bed.online("sub3"), "it has released its lease");
    assert!(!bed.neighbour(gone).contains("PERMANENT"), "{}", bed.neighbour(gone));
    wait("their accounting", || accounting() == ["5", "2", "Lost-Carrier NAS-Request User-Request"]);
}

#[test]
fn kea_is_asked_about_renewals_without_session_only_and_one_pass_is_before_its_time() {
    const STRANGERS: u8 = 100;
    let mut bed = Bed::new();
    bed.kea_of("kea", SERVERS[0], ["10-100.64.1.99", "10-100.64.2.99"], SECONDS);
    bed.gateway_addresses();
    let kea = bed.control_agent();
    let began = Instant::now();
    bed.gateway_with(json!({ "trust": { "option82": false }, "kea": kea }));
    opened(&bed, 1);
    wait("the first pass", || compared(&bed));
    // One in its time and one before it at most, each of one page.
    let may_have_listed = || 2 * (1 + began.elapsed().as_secs() as usize / 60);

    let client = bed.client("sub1", "udhcpc");
    wait("it to be let through", || bed.online("sub1"));
    for leases in 2..20 {
        bed.signal(client, Signal::SIGUSR1);
        wait("a renewal", || bed.log("sub1").matches("lease of").count() == leases);
    }
    assert_eq!(bed.kea_was_told("lease4-get"), 0, "what sessions' clients say is no question");

    let missed = Ipv4Addr::new(100, 64, 1, 150);
    let context = json!({ "ISC": { "relay-agent-info": "0x0103616161" } });
    let before = bed.kea_was_told("lease4-get-page");
    has(&bed, missed, json!({ "user-context": context }), &json!({ "hw-address": "02:00:5e:00:00:99" }));
    bed.within("sub2", || renew_strangers(STRANGERS));
    let adopted = || bed.metric("lastmile_bng_lease_drift_total{kind=\"adopted\"}");
    wait("a pass before its time, which finds another", || adopted() == Some(1));
    let (listed, asked) = (bed.kea_was_told("lease4-get-page"), bed.kea_was_told("lease4-get"));
    assert!((before + 1..=may_have_listed()).contains(&listed), "{before}, then {listed} times");
    assert!((1..=usize::from(STRANGERS)).contains(&asked), "{asked} times about {STRANGERS} addresses");
}

/// Devices that nobody knows renew addresses that nobody has, each its own.
fn renew_strangers(count: u8) {
    let sender = FrameSender::open("eth0").unwrap();
    for number in 0..count {
        let (mac, ip) = (MacAddr([2, 0, 0x5e, 0, 1, number]), Ipv4Addr::new(100, 64, 2, 100 + number));
        let renewal = Builder::new(MessageType::Request, number.into(), mac).ciaddr(ip).build();
        let (from, to) = (SocketAddrV4::new(ip, CLIENT_PORT), SocketAddrV4::new(SERVERS[0], SERVER_PORT));
        let frame = frame::ethernet(mac, MacAddr([0xff; 6]), from, to, &renewal).unwrap();
        assert_eq!(sender.send(&[frame]).unwrap(), 1);
    }
}

/// From now on Kea has this lease: some of it new, the rest as in another.
fn has(bed: &Bed, ip: Ipv4Addr, new: Value, other: &Value) {
    let mut lease = json!({ "ip-address": ip, "valid-lft": SECONDS, "force-create": true });
    let fields = lease.as_object_mut().unwrap();
    for name in ["hw-address", "client-id", "user-context"] {
        fields.extend(other.get(name).map(|value| (name.to_owned(), value.clone())));
    }
    fields.extend(new.as_object().unwrap().clone());
    bed.tell_kea("lease4-update", lease);
}

fn compared(bed: &Bed) -> bool {
    bed.metric("lastmile_bng_condition{type=\"LeasesReconciled\"}") == Some(1)
}

fn opened(bed: &Bed, times: usize) {
    wait("the gateway", || bed.log("gateway").matches("the gateway is open").count() == times);
}

/// Records in radacct, those that are open, and the causes of the others.
fn accounting() -> Vec<String> {
    row(&format!(
        "SELECT count(*), count(*) FILTER (WHERE acctstoptime IS NULL), coalesce(string_agg(DISTINCT acctterminatecause, ' ')
         FILTER (WHERE acctstoptime IS NOT NULL), '') FROM radacct WHERE nasipaddress = '{NAS}'"
    ))
}
