//! One session for the tests of this module.

use jiff::Timestamp;
use lastmile_types::{
    Counters, Octets,
    session::{AuthState, SessionState},
};
use uuid::Uuid;

use crate::store::sessions::SessionRow;

/// Some minutes after the session's start.
pub fn now() -> Timestamp {
    "2026-01-31T12:05:30Z".parse().unwrap()
}

/// An active session.
pub fn session() -> SessionRow {
    SessionRow {
        id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001),
        bng_id: "edge/bng-01".parse().unwrap(),
        bng_instance_id: Uuid::from_u128(1),
        acct_session_id: "0000000000000001".to_owned(),
        subscriber: "bng-01/line-01/ar-01|1%2F1".to_owned(),
        circuit_id: Octets::from("ar-01|1/1"),
        remote_id: Octets::from("line-01"),
        router: "ar-01".to_owned(),
        giaddr: Some([100, 64, 1, 1].into()),
        mac: "02:00:5e:10:00:01".parse().unwrap(),
        ip: [100, 64, 1, 10].into(),
        hostname: Some("sub-01".to_owned()),
        state: SessionState::Active,
        auth: AuthState::Authorized,
        policy: Some("gold".to_owned()),
        down_kbps: Some(50_000),
        up_kbps: None,
        counters: Counters {
            input_octets: 1_288_490_189,
            output_octets: 2_048,
            input_packets: 900_000,
            output_packets: 20,
        },
        started_at: "2026-01-31T12:00:00.25Z".parse().unwrap(),
        updated_at: Some("2026-01-31T12:05:00Z".parse().unwrap()),
        lease_expires_at: Some("2026-01-31T13:00:00Z".parse().unwrap()),
        ended: None,
        revision: 7,
    }
}
