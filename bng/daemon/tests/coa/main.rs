//! CoA and Disconnect, end to end: FreeRADIUS' radclient asks the real gateway, which runs in a network namespace with a journal of
//! sessions, a kernel gate and nothing else. Needs root, iproute2, nft and freeradius-utils.

mod bed;
mod refused;
mod sessions;
mod shaped;
mod source;

use std::{net::UdpSocket, time::Duration};

use bed::{Bed, CLIENT, COA, SECRET, STRANGER, STRICT, STRICT_SECRET, config, parsed};
use jiff::Timestamp;
use lastmile_types::Event;
use lastmile_wire::radius::{
    Attributes, Code, RequireMessageAuthenticator, accounting_request, attr, dynamic_request, verify_response,
};
use serde_json::json;

/// What radclient takes for `at` seconds from now.
fn timestamp(at: i64) -> String {
    format!("Event-Timestamp = {}", Timestamp::now().as_second() + at)
}

fn ask(bed: &Bed, kind: &str, attributes: &str) -> String {
    bed.radclient(CLIENT, kind, SECRET, attributes).outcome()
}

/// A session that the gateway has, by its identifiers as radclient writes them.
fn identifiers(bed: &mut Bed, port: u8) -> Vec<String> {
    bed.kill();
    let image = bed.journal();
    let (id, _) = sessions::of(&image.snapshot, port).expect("it is in the journal");
    bed.start();
    vec![
        format!("Acct-Session-Id = '{id}'"),
        format!("User-Name = 'bng-01/line-0{port}/ar-01|1%2F{port}'"),
        format!("Framed-IP-Address = {}", sessions::address(port)),
        format!("Calling-Station-Id = '02-00-5E-00-00-0{port}'"),
        format!("NAS-Port-Id = 'ar-01|1/{port}'"),
        format!("ADSL-Agent-Circuit-Id = \"ar-01|1/{port}\""),
        format!("ADSL-Agent-Remote-Id = \"line-0{port}\""),
    ]
}

#[test]
fn each_identifier_names_the_session_and_all_given_must_match() {
    let mut bed = Bed::new();
    let ours = identifiers(&mut bed, 1);
    let others = identifiers(&mut bed, 2);
    for (place, one) in ours.iter().enumerate() {
        let policy = if place % 2 == 0 { "basic" } else { "gold" };
        assert_eq!(ask(&bed, "coa", &format!("{one}\nFilter-Id = '{policy}'")), "CoA-ACK", "{one}");
        // The next one is another session's.
        let other = &others[(place + 1) % others.len()];
        let both = format!("{one}\n{other}");
        assert_eq!(ask(&bed, "disconnect", &both), "Disconnect-NAK Session-Context-Not-Found", "{both}");
    }
    let nas = "NAS-Identifier = 'bng-01'\nNAS-IP-Address = 10.231.0.11";
    assert_eq!(ask(&bed, "disconnect", &format!("{nas}\n{}", ours.join("\n"))), "Disconnect-ACK");
    assert_eq!(ask(&bed, "disconnect", &ours[0]), "Disconnect-NAK Session-Context-Not-Found");
    bed.kill();
    let image = bed.journal();
    assert!(sessions::of(&image.snapshot, 1).is_none());
    let other = sessions::of(&image.snapshot, 2).expect("the other one lives").1;
    assert_eq!(other.terms.policy.as_deref(), Some("gold"), "and is as it was");
    let stop = image.events.iter().find_map(|event| match &event.event {
        Event::SessionStop(stop) => stop.session.ended.clone(),
        _ => None,
    });
    let stop = stop.expect("its stop is in the journal");
    assert_eq!((stop.cause.as_str(), stop.detail.as_str()), ("Admin-Reset", "Disconnect-Request from 10.231.0.2"));
}

#[test]
fn every_refusal_names_its_cause() {
    let bed = Bed::new();
    let live = "Framed-IP-Address = 100.64.1.51";
    for (kind, attributes, cause) in [
        ("coa", format!("{live}\nFramed-Route = '10.0.0.0/8'"), "Unsupported-Attribute"),
        ("coa", format!("{live}\nFilter-Id = 'gold'\nERX-Service-Activate:1 = 'x'"), "Unsupported-Attribute"),
        ("coa", format!("{live}\nMikrotik-Rate-Limit = 'fast'"), "Invalid-Attribute-Value"),
        ("disconnect", format!("{live}\nWISPr-Bandwidth-Max-Down = 1000"), "Unsupported-Attribute"),
        ("disconnect", format!("{live}\nFilter-Id = 'gold'"), "Unsupported-Attribute"),
        ("disconnect", format!("{live}\nService-Type = Framed-User"), "Unsupported-Attribute"),
        ("coa", "Filter-Id = 'gold'".to_owned(), "Missing-Attribute"),
        ("coa", live.to_owned(), "Missing-Attribute"),
        ("disconnect", "NAS-Identifier = 'bng-01'".to_owned(), "Missing-Attribute"),
        ("disconnect", format!("{live}\nNAS-Identifier = 'bng-02'"), "NAS-Identification-Mismatch"),
        ("coa", format!("{live}\nFilter-Id = 'gold'\nNAS-IP-Address = 10.0.0.1"), "NAS-Identification-Mismatch"),
        ("coa", format!("{live}\nFilter-Id = 'gold'\nFilter-Id += 'basic'"), "Invalid-Request"),
        ("coa", format!("{live}\nAttr-27 = 0x01"), "Invalid-Request"),
        ("coa", format!("{live}\nService-Type = Authorize-Only"), "Unsupported-Service"),
        ("coa", format!("{live}\nFilter-Id = 'platinum'"), "Invalid-Attribute-Value"),
        ("coa", format!("{live}\nAcct-Interim-Interval = 5"), "Invalid-Attribute-Value"),
        ("coa", "Framed-IP-Address = 100.64.1.53\nFilter-Id = 'gold'".to_owned(), "Administratively-Prohibited"),
        ("coa", "Framed-IP-Address = 100.64.1.99\nFilter-Id = 'gold'".to_owned(), "Session-Context-Not-Found"),
        ("disconnect", "Acct-Session-Id = 'nobody'".to_owned(), "Session-Context-Not-Found"),
        ("disconnect", "ADSL-Agent-Remote-Id = \"line-04\"".to_owned(), "Multiple-Session-Selection-Unsupported"),
    ] {
        let nak = if kind == "coa" { "CoA-NAK" } else { "Disconnect-NAK" };
        assert_eq!(ask(&bed, kind, &attributes), format!("{nak} {cause}"), "{kind} {attributes}");
    }
    for (kind, outcome, count) in [("coa", "nak-407", 3), ("disconnect", "nak-503", 1), ("disconnect", "nak-508", 1)] {
        let name = format!("lastmile_bng_coa_requests_total{{kind=\"{kind}\",outcome=\"{outcome}\"}}");
        bed.eventually(&name, || bed.metric(&name) == Some(count));
    }
}

#[test]
fn what_is_not_believed_gets_no_answer_and_is_counted() {
    let bed = Bed::new();
    let change = "Framed-IP-Address = 100.64.1.51\nFilter-Id = 'basic'";
    let silent = |from, secret, attributes: &str, label: &str| {
        let answer = bed.radclient(from, "coa", secret, attributes);
        assert_eq!(answer.outcome(), "", "{label}: {}", answer.text);
        bed.dropped(label, 1);
    };
    silent(CLIENT, "wrong", change, "authenticator");
    silent(STRANGER, SECRET, change, "unlisted-source");
    silent(STRICT, STRICT_SECRET, change, "no-message-authenticator");
    silent(CLIENT, SECRET, &format!("{change}\n{}", timestamp(-301)), "stale");
    let ahead = bed.radclient(CLIENT, "coa", SECRET, &format!("{change}\n{}", timestamp(310)));
    assert_eq!(ahead.outcome(), "");
    bed.dropped("stale", 2);

    let socket = bed.client_socket();
    socket.send(&accounting_request(1, &Attributes::new(), SECRET.as_bytes()).unwrap().bytes).unwrap();
    bed.dropped("unexpected-code", 1);
    socket.send(b"no RADIUS").unwrap();
    bed.dropped("malformed", 1);

    // The same from whom it is believed.
    assert_eq!(ask(&bed, "coa", &format!("{change}\n{}", timestamp(-290))), "CoA-ACK");
    let strict = format!("{change}\nMessage-Authenticator = 0x00");
    assert_eq!(bed.radclient(STRICT, "coa", STRICT_SECRET, &strict).outcome(), "CoA-ACK");

    let mut config = config();
    config["coa"]["requireEventTimestamp"] = json!(true);
    bed.configure(&config);
    let asked = || bed.radclient(CLIENT, "coa", SECRET, change).outcome();
    bed.eventually("the new configuration is in force", || asked().is_empty());
    assert!(bed.metric("lastmile_bng_dropped_total{reason=\"coa-no-timestamp\"}").is_some_and(|count| count > 0));
    assert_eq!(ask(&bed, "coa", &format!("{change}\n{}", timestamp(0))), "CoA-ACK");
}

#[test]
fn a_retransmission_is_answered_again_and_not_executed_again() {
    let bed = Bed::new();
    let mut attributes = Attributes::new();
    for state in [&b"first"[..], b"second", b"first"] {
        attributes.push(attr::PROXY_STATE, state).unwrap();
    }
    attributes.push_address(attr::FRAMED_IP_ADDRESS, sessions::address(1));
    let request = dynamic_request(Code::DISCONNECT_REQUEST, 7, &attributes, SECRET.as_bytes()).unwrap();
    let socket = bed.client_socket();
    let exchange = || {
        let mut room = [0; 4096];
        socket.send(&request.bytes).unwrap();
        let length = socket.recv(&mut room).expect("an answer");
        room[..length].to_vec()
    };
    let first = exchange();
    let answer = verify_response(&first, &request, SECRET.as_bytes(), RequireMessageAuthenticator::Yes).unwrap();
    assert_eq!(answer.code, Code::DISCONNECT_ACK);
    let states: Vec<_> = answer.attributes.all(attr::PROXY_STATE).collect();
    assert_eq!(states, [&b"first"[..], b"second", b"first"], "Proxy-State in its order");
    // Executed again it would be refused: the session is gone.
    assert_eq!(exchange(), first);
    let repeated = "lastmile_bng_coa_requests_total{kind=\"disconnect\",outcome=\"repeated\"}";
    bed.eventually(repeated, || bed.metric(repeated) == Some(1));
    assert_eq!(bed.metric("lastmile_bng_coa_requests_total{kind=\"disconnect\",outcome=\"ack\"}"), Some(1));
    assert_eq!(ask(&bed, "disconnect", "Framed-IP-Address = 100.64.1.51"), "Disconnect-NAK Session-Context-Not-Found");
}

#[test]
fn a_change_reaches_the_kernel_and_survives_kill_minus_nine() {
    let mut bed = Bed::new();
    let limits = |bed: &Bed| {
        let text = bed.output("gateway", "nft", &["list", "ruleset"]);
        let elements: Vec<_> = text.split(',').filter(|element| element.contains("100.64.1.51 ")).collect();
        elements.join("\n")
    };
    let before = limits(&bed);
    assert!(before.contains("rate 6250000 bytes"), "50 Mbit/s down: {before}");
    let change = "User-Name = 'bng-01/line-01/ar-01|1%2F1'\nFilter-Id = 'basic'\nSession-Timeout = 3000\nIdle-Timeout = 900\nAcct-Interim-Interval = 120\nClass = 0x0102";
    assert_eq!(ask(&bed, "coa", change), "CoA-ACK");
    let after = limits(&bed);
    assert!(after.contains("rate 125000 bytes") && !after.contains("rate 6250000"), "1 Mbit/s down: {after}");

    // Limits as in an Access-Accept, of one direction; the other stays as the policy has it.
    let rates = "User-Name = 'bng-01/line-01/ar-01|1%2F1'\nWISPr-Bandwidth-Max-Up = 3000000";
    assert_eq!(ask(&bed, "coa", rates), "CoA-ACK");
    let both = limits(&bed);
    assert!(both.contains("rate 125000 bytes") && both.contains("rate 375000 bytes"), "3 Mbit/s up: {both}");

    // It was journalled before it was acknowledged: no grace for the process.
    bed.kill();
    let image = bed.journal();
    let (_, session) = sessions::of(&image.snapshot, 1).expect("it lives");
    assert_eq!(session.grant.filter_id.as_deref(), Some("basic"));
    let terms = &session.terms;
    assert_eq!(terms.policy.as_deref(), Some("basic"));
    let seconds = (terms.session_timeout_seconds, terms.idle_timeout_seconds, terms.interim_seconds);
    assert_eq!(seconds, (Some(3000), Some(900), 120));
    let said: Vec<_> = image
        .events
        .iter()
        .filter_map(|event| match &event.event {
            Event::PolicyApply(apply) if apply.reason == "CoA" => Some(apply.session.ip),
            _ => None,
        })
        .collect();
    assert_eq!(said, [sessions::address(1); 2], "two POLICY_APPLY, of that session only");

    bed.start();
    let adopted = limits(&bed);
    assert!(adopted.contains("rate 125000 bytes") && adopted.contains("rate 375000 bytes"), "adopted: {adopted}");
    assert_eq!(ask(&bed, "disconnect", "Framed-IP-Address = 100.64.1.51"), "Disconnect-ACK");
    assert_eq!(limits(&bed), "", "the gate is closed");
}

/// What somebody does to the kernel's tables behind the gateway's back.
fn nft(bed: &Bed, arguments: &str) {
    let arguments: Vec<_> = arguments.split(' ').collect();
    bed.within("gateway", || assert!(std::process::Command::new("nft").args(&arguments).status().unwrap().success()));
}

/// All that nftables has, but for what it counted: its lines and the elements of its sets, in some order of their own.
fn gate(bed: &Bed) -> Vec<String> {
    let text = bed.output("gateway", "nft", &["-s", "list", "ruleset"]);
    let mut parts: Vec<_> = text
        .split(['\n', ','])
        .map(|part| part.replace("elements = {", "").replace('}', "").trim().to_owned())
        .filter(|part| !part.is_empty())
        .collect();
    parts.sort();
    parts
}

/// What the gate has of a subscriber: an element for each direction.
fn elements(bed: &Bed, port: u8) -> usize {
    let address = sessions::address(port).to_string();
    gate(bed).iter().filter(|part| part.split(' ').next() == Some(&address)).count()
}

#[test]
fn who_has_but_half_an_element_is_disconnected_for_good() {
    let bed = Bed::new();
    bed.eventually("everybody is let in", || elements(&bed, 1) == 2);
    nft(&bed, "delete element ip lastmile_edge_bng-01 down { 100.64.1.51 }");
    assert_eq!(ask(&bed, "disconnect", "Framed-IP-Address = 100.64.1.51"), "Disconnect-ACK");
    assert_eq!((elements(&bed, 1), elements(&bed, 2)), (0, 2));
}

#[test]
fn a_gate_that_somebody_removed_is_made_anew_with_everybody_who_is_online() {
    let bed = Bed::new();
    bed.eventually("everybody is let in", || [1, 2, 4, 5].into_iter().all(|port| elements(&bed, port) == 2));
    let before = gate(&bed);
    nft(&bed, "flush ruleset");
    bed.eventually("the gate is as it was, and nobody asked for it", || gate(&bed) == before);

    nft(&bed, "flush ruleset");
    assert_eq!(ask(&bed, "coa", "Framed-IP-Address = 100.64.1.51\nFilter-Id = 'basic'"), "CoA-ACK");
    bed.eventually("it is whole", || [1, 2, 4, 5].into_iter().all(|port| elements(&bed, port) == 2));
    assert_ne!(gate(&bed), before, "with other limits");
    assert_eq!(ask(&bed, "coa", "Framed-IP-Address = 100.64.1.51\nFilter-Id = 'gold'"), "CoA-ACK");
    assert_eq!(gate(&bed), before);

    nft(&bed, "flush ruleset");
    assert_eq!(ask(&bed, "disconnect", "Framed-IP-Address = 100.64.1.51"), "Disconnect-ACK");
    bed.eventually("the others are let in", || [2, 4, 5].into_iter().all(|port| elements(&bed, port) == 2));
    assert_eq!((elements(&bed, 1), elements(&bed, 3)), (0, 0), "and nobody else");
    let restored = "lastmile_bng_dropped_total{reason=\"gate-restored\"}";
    bed.eventually("each time is counted", || bed.metric(restored) == Some(3));
}

#[test]
fn rules_that_somebody_removed_are_made_anew() {
    let bed = Bed::new();
    bed.eventually("everybody is let in", || [1, 2, 4, 5].into_iter().all(|port| elements(&bed, port) == 2));
    let before = gate(&bed);
    let restored = "lastmile_bng_dropped_total{reason=\"gate-restored\"}";
    let losses = ["flush table ip lastmile_edge_bng-01", "delete table ip6 lastmile_edge_bng-01"];
    for (time, loss) in (1..).zip(losses) {
        nft(&bed, loss);
        bed.eventually("it is noticed", || bed.metric(restored) == Some(time));
        assert_eq!(gate(&bed), before, "after {loss}");
    }
}

#[test]
fn the_port_and_the_clients_follow_the_configuration() {
    let mut bed = Bed::without_gateway();
    let mut quiet = config();
    quiet.as_object_mut().unwrap().remove("coa");
    bed.configure(&quiet);
    sessions::seed(&bed.state(), &parsed(&quiet), false);
    let squatter = bed.within("gateway", || UdpSocket::bind(COA).unwrap());
    bed.start();
    let listening = "lastmile_bng_condition{type=\"CoaListening\"}";
    assert_eq!(bed.metric(listening), Some(1), "nobody may, and nothing is wrong with that");

    bed.configure(&config());
    bed.eventually("a taken port is a condition", || bed.metric(listening) == Some(0));
    assert_eq!(bed.metric("lastmile_bng_sessions_authorized"), Some(4), "and the gateway does without");
    drop(squatter);
    bed.eventually("a free port is taken", || bed.metric(listening) == Some(1));
    let change = "Framed-IP-Address = 100.64.1.51\nFilter-Id = 'basic'";
    assert_eq!(ask(&bed, "coa", change), "CoA-ACK");

    let mut swapped = config();
    swapped["coa"]["clients"][0]["secretFile"] = json!("coa-secret-1");
    bed.configure(&swapped);
    let asked = || bed.radclient(CLIENT, "coa", STRICT_SECRET, change).outcome();
    bed.eventually("the new secret counts", || asked() == "CoA-ACK");
    assert_eq!(ask(&bed, "coa", change), "", "and the old one does not");

    bed.configure(&quiet);
    bed.eventually("nothing listens any more", || {
        let socket = bed.client_socket();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let sent = socket.send(b"anybody?");
        // ICMP port unreachable.
        sent.is_err()
            || socket.recv(&mut [0; 1]).is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    });
}

#[test]
fn while_draining_it_answers() {
    let bed = Bed::without_gateway();
    bed.configure(&config());
    sessions::seed(&bed.state(), &parsed(&config()), true);
    let bed = bed.running();
    assert_eq!(ask(&bed, "disconnect", "Framed-IP-Address = 100.64.1.51"), "Disconnect-NAK Session-Context-Not-Found");
}
