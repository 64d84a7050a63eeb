//! On the same bed: the kernel refuses what the gateway asks of it, because somebody else's table stands in the place of its own.

use std::io::ErrorKind;

use lastmile_types::Event;
use lastmile_wire::radius::{Attributes, Code, RequireMessageAuthenticator, attr, dynamic_request, verify_response};

use crate::{
    ask,
    bed::{Bed, SECRET},
    elements, gate, nft, sessions,
};

/// Its set `down` holds no addresses, so that nothing of the gateway's fits in: every change of a subscriber is refused.
fn take_the_place(bed: &Bed) {
    let table = "table ip lastmile_edge_bng-01";
    nft(bed, &format!("delete {table}; add {table}; add set ip lastmile_edge_bng-01 down {{ type ether_addr; }}"));
}

#[test]
fn what_the_kernel_refuses_is_refused_and_nothing_has_changed() {
    let mut bed = Bed::new();
    let change = "Framed-IP-Address = 100.64.1.51\nFilter-Id = 'basic'\nSession-Timeout = 3000";
    bed.eventually("everybody is let in", || elements(&bed, 1) == 2);
    let before = gate(&bed);
    take_the_place(&bed);
    assert_eq!(ask(&bed, "coa", change), "CoA-NAK Resources-Unavailable");
    let refused = "lastmile_bng_coa_requests_total{kind=\"coa\",outcome=\"nak-506\"}";
    bed.eventually("it is counted", || bed.metric(refused) == Some(1));
    nft(&bed, "delete table ip lastmile_edge_bng-01");
    bed.eventually("he is let in again, on his old terms", || gate(&bed) == before);

    bed.kill();
    let image = bed.journal();
    let (_, session) = sessions::of(&image.snapshot, 1).expect("it lives");
    assert_eq!(session.grant.filter_id.as_deref(), Some("gold"));
    let terms = &session.terms;
    assert_eq!((terms.policy.as_deref(), terms.session_timeout_seconds), (Some("gold"), None));
    let last = image.events.iter().rev().find_map(|event| match &event.event {
        Event::PolicyApply(apply) => Some((apply.reason.as_str(), apply.session.policy.as_deref())),
        _ => None,
    });
    assert_eq!(last, Some(("CoA taken back: the kernel refused it", Some("gold"))));
    bed.start();
    assert_eq!(ask(&bed, "coa", change), "CoA-ACK");
}

#[test]
fn an_eviction_that_the_kernel_refuses_is_owed_and_the_session_is_over_when_it_is_done() {
    let mut bed = Bed::new();
    bed.eventually("everybody is let in", || [1, 2, 4, 5].into_iter().all(|port| elements(&bed, port) == 2));
    take_the_place(&bed);
    let mut attributes = Attributes::new();
    attributes.push_address(attr::FRAMED_IP_ADDRESS, sessions::address(1));
    let request = dynamic_request(Code::DISCONNECT_REQUEST, 7, &attributes, SECRET.as_bytes()).unwrap();
    let socket = bed.client_socket();
    socket.send(&request.bytes).unwrap();
    let refused = || bed.metric("lastmile_bng_dropped_total{reason=\"gate-refused\"}").unwrap_or(0);
    bed.eventually("it is refused, and tried again", || refused() > 3);
    let mut room = [0; 4096];
    socket.set_nonblocking(true).unwrap();
    assert_eq!(socket.recv(&mut room).unwrap_err().kind(), ErrorKind::WouldBlock, "nobody says that it is done");

    nft(&bed, "delete table ip lastmile_edge_bng-01");
    socket.set_nonblocking(false).unwrap();
    let length = socket.recv(&mut room).expect("an answer");
    let answer =
        verify_response(&room[..length], &request, SECRET.as_bytes(), RequireMessageAuthenticator::Yes).unwrap();
    assert_eq!(answer.code, Code::DISCONNECT_ACK);
    bed.eventually("the others are let in", || [2, 4, 5].into_iter().all(|port| elements(&bed, port) == 2));
    assert_eq!(elements(&bed, 1), 0);
    bed.kill();
    let image = bed.journal();
    assert!(sessions::of(&image.snapshot, 1).is_none());
    let stops = image.events.iter().filter_map(|event| match &event.event {
        Event::SessionStop(stop) => stop.session.ended.as_ref().map(|ended| (stop.session.ip, ended.cause.as_str())),
        _ => None,
    });
    assert_eq!(stops.collect::<Vec<_>>(), [(sessions::address(1), "Admin-Reset")]);
}
