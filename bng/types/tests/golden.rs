//! The stream's JSON, byte for byte: a change here is a change of what older gateways and ingestors read.

use lastmile_types::Envelope;

#[test]
fn events() {
    let lines: Vec<&str> = include_str!("golden/events.jsonl").lines().collect();
    let mut kinds = Vec::new();
    for line in &lines {
        let envelope: Envelope = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_string(&envelope).unwrap(), *line);
        kinds.push(envelope.event.event_type());
    }
    let all = [
        "SESSION_START",
        "POLICY_APPLY",
        "SESSION_UPDATE",
        "SESSION_STOP",
        "SESSION_STOP",
        "ROUTER_UPDATE",
        "BNG_HEALTH_UPDATE",
    ];
    assert_eq!(kinds, all, "every kind, and both forms of a stop");
}
