//! The metrics of the RADIUS servers: labels are what is configured, and the kinds of answers.

use std::fmt::Write;

use lastmile_types::status::{RadiusCounts, RadiusRole, RadiusServer};

use super::metrics::family;

type Value = fn(&RadiusCounts) -> u64;

const COUNTERS: [(&str, &str, Value); 7] = [
    ("requests", "Requests to the server, without retransmissions and Status-Server.", |counts| counts.requests),
    ("retransmissions", "How often requests were sent again.", |counts| counts.retransmissions),
    ("timeouts", "Requests of which no transmission was answered.", |counts| counts.timeouts),
    ("refused", "Replies that did not verify.", |counts| counts.refused),
    ("probes", "Status-Server packets to the server.", |counts| counts.probes),
    ("probes_answered", "Status-Server packets that it answered.", |counts| counts.probes_answered),
    ("deaths", "How often it began to count as dead.", |counts| counts.deaths),
];

pub(super) fn render(text: &mut String, servers: &[RadiusServer]) {
    family(text, &name("alive"), "gauge", "0 = the RADIUS server counts as dead, in this role.");
    for server in servers {
        let _ = writeln!(text, "{}{{{}}} {}", name("alive"), labels(server), u8::from(server.alive));
    }
    for (what, help, value) in COUNTERS {
        family(text, &name(what), "counter", help);
        for server in servers {
            let _ = writeln!(text, "{}_total{{{}}} {}", name(what), labels(server), value(&server.counts));
        }
    }
    family(text, &name("answers"), "counter", "Answers to requests, by kind.");
    for server in servers {
        for (kind, count) in &server.counts.answers {
            let _ = writeln!(text, "{}_total{{{},kind=\"{kind}\"}} {count}", name("answers"), labels(server));
        }
    }
    family(text, &name("round_trip_seconds"), "summary", "How long answers to requests took that were sent once.");
    for server in servers {
        let (count, us) = (server.counts.round_trips, server.counts.round_trips_us);
        let (name, labels) = (name("round_trip_seconds"), labels(server));
        let _ = writeln!(text, "{name}_count{{{labels}}} {count}");
        let _ = writeln!(text, "{name}_sum{{{labels}}} {}.{:06}", us / 1_000_000, us % 1_000_000);
    }
}

fn name(what: &str) -> String {
    format!("lastmile_bng_radius_{what}")
}

fn labels(server: &RadiusServer) -> String {
    let role = match server.role {
        RadiusRole::Auth => "auth",
        RadiusRole::Acct => "acct",
    };
    format!("server=\"{}\",role=\"{role}\"", server.address)
}
