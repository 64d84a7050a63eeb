//! `/metrics` in the OpenMetrics text form, and `/healthz`, over plain HTTP: numbers only, no subscriber data.

use std::{collections::BTreeMap, fmt::Write, io};

use axum::{Router, extract::State, http::header::CONTENT_TYPE, response::IntoResponse, routing::get};
use lastmile_types::status::{BngStatus, DhcpServer, PolicyUse};

use super::radius;
use tokio::{net::TcpListener, sync::watch};

const READ_SECONDS: &str = "lastmile_bng_counters_read_seconds";

/// Serves for ever.
pub async fn serve(listener: TcpListener, status: watch::Receiver<BngStatus>) -> io::Result<()> {
    let router = Router::new().route("/metrics", get(metrics)).route("/healthz", get(|| async { "ok\n" }));
    axum::serve(listener, router.with_state(status)).await
}

async fn metrics(State(status): State<watch::Receiver<BngStatus>>) -> impl IntoResponse {
    let text = render(&status.borrow());
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}

/// The status as metrics: one source of truth for both.
fn render(status: &BngStatus) -> String {
    let mut text = String::new();
    let sessions = status.sessions;
    family(&mut text, "lastmile_bng_sessions", "gauge", "Sessions that have an address, by state.");
    for (state, count) in [("pending", sessions.pending), ("active", sessions.active), ("idle", sessions.idle)] {
        let _ = writeln!(text, "lastmile_bng_sessions{{state=\"{state}\"}} {count}");
    }
    let gauges = [
        ("lastmile_bng_sessions_authorized", "Sessions that AAA authorized.", u64::from(sessions.authorized)),
        ("lastmile_bng_sessions_rejected", "Sessions that AAA rejected.", u64::from(sessions.rejected)),
        ("lastmile_bng_last_seq", "The last seq given out.", status.last_seq),
        ("lastmile_bng_committed_seq", "The last seq known to be in the database.", status.committed_seq),
        ("lastmile_bng_leases", "Active leases within the pools, in the last pass.", u64::from(status.leases.leases)),
        ("lastmile_bng_leases_ended_here", "Of those, ended here.", u64::from(status.leases.ended_here)),
        ("lastmile_bng_leases_unattributed", "Of those, without option 82.", u64::from(status.leases.unattributed)),
        ("lastmile_bng_shaped", "Subscribers who have classes.", u64::from(status.shaping.shaped)),
        ("lastmile_bng_policed_instead", "Subscribers who should be shaped.", u64::from(status.shaping.policed)),
        ("lastmile_bng_accounting_waiting", "Accounting records that wait for a server.", status.accounting.waiting),
        (
            "lastmile_bng_accounting_dead_letters",
            "Accounting records that no server took.",
            status.accounting.dead_letters,
        ),
        ("lastmile_bng_memory_bytes", "Memory of the gateway's cgroup.", status.health.memory_bytes),
    ];
    for (name, help, value) in gauges {
        family(&mut text, name, "gauge", help);
        let _ = writeln!(text, "{name} {value}");
    }
    if let Some(took_ms) = status.counters_read_ms {
        family(&mut text, READ_SECONDS, "gauge", "How long the last reading of everybody's counters took.");
        let _ = writeln!(text, "{READ_SECONDS} {}", took_ms as f64 / 1e3);
    }
    family(&mut text, "lastmile_bng_condition", "gauge", "1 = True, 0 = False, -1 = Unknown.");
    for condition in &status.conditions {
        let value = condition.status.map_or(-1, i32::from);
        let _ = writeln!(text, "lastmile_bng_condition{{type=\"{}\"}} {value}", condition.kind);
    }
    family(&mut text, "lastmile_bng_dropped", "counter", "Messages that went no further, by reason.");
    for (label, count) in &status.drops {
        let _ = writeln!(text, "lastmile_bng_dropped_total{{reason=\"{label}\"}} {count}");
    }
    family(&mut text, "lastmile_bng_spoofed_packets", "counter", "Packets with a source that is not there, by router.");
    for (router, count) in &status.spoofed {
        let _ = writeln!(text, "lastmile_bng_spoofed_packets_total{{router=\"{router}\"}} {count}");
    }
    family(&mut text, "lastmile_bng_router_alive", "gauge", "1 = the access router answers, or relayed DHCP lately.");
    for (router, alive) in &status.routers {
        let _ = writeln!(text, "lastmile_bng_router_alive{{router=\"{}\"}} {}", label(router), u8::from(*alive));
    }
    servers(&mut text, &status.dhcp_servers);
    radius::render(&mut text, &status.radius_servers);
    coa(&mut text, &status.coa);
    let healed =
        [("adopted", status.leases.adopted), ("stopped", status.leases.stopped), ("moved", status.leases.moved)];
    family(
        &mut text,
        "lastmile_bng_lease_drift",
        "counter",
        "Differences between sessions and leases that were healed.",
    );
    for (kind, count) in healed {
        let _ = writeln!(text, "lastmile_bng_lease_drift_total{{kind=\"{kind}\"}} {count}");
    }
    policies(&mut text, &status.policies);
    text.push_str("# EOF\n");
    text
}

/// By the policies' names, which are Kubernetes': what RADIUS sent as Filter-Id is no label.
fn policies(text: &mut String, found: &PolicyUse) {
    family(text, "lastmile_bng_policy_sessions", "gauge", "Sessions by the policy in force.");
    for (policy, count) in &found.sessions {
        let _ = writeln!(text, "lastmile_bng_policy_sessions{{policy=\"{policy}\"}} {count}");
    }
    let gauges = [
        ("lastmile_bng_sessions_confined", "Sessions that reach a walled garden only.", found.confined),
        ("lastmile_bng_filter_id_unknown", "Sessions whose Filter-Id names no policy.", found.unknown),
    ];
    for (name, help, value) in gauges {
        family(text, name, "gauge", help);
        let _ = writeln!(text, "{name} {value}");
    }
    family(text, "lastmile_bng_policy_fall_backs", "counter", "Sessions whose policy was deleted while it applied.");
    for (policy, count) in &found.fell_back {
        let _ = writeln!(text, "lastmile_bng_policy_fall_backs_total{{policy=\"{policy}\"}} {count}");
    }
}

fn servers(text: &mut String, servers: &[DhcpServer]) {
    type Value = fn(&DhcpServer) -> u64;
    let families: [(&str, &str, &str, &str, Value); 4] = [
        ("answers", "", "gauge", "1 = the DHCP server answers.", |server| server.answers.into()),
        ("in_service", "", "gauge", "1 = the DHCP server gets DISCOVERs.", |server| server.in_service.into()),
        ("asked", "_total", "counter", "Clients' messages that want its answer.", |server| server.asked),
        ("answered", "_total", "counter", "Its answers, those to probes included.", |server| server.answered),
    ];
    for (name, suffix, kind, help, value) in families {
        family(text, &format!("lastmile_bng_dhcp_server_{name}"), kind, help);
        for server in servers {
            let (address, value) = (server.address, value(server));
            let _ = writeln!(text, "lastmile_bng_dhcp_server_{name}{suffix}{{server=\"{address}\"}} {value}");
        }
    }
}

fn coa(text: &mut String, answered: &BTreeMap<String, BTreeMap<String, u64>>) {
    family(text, "lastmile_bng_coa_requests", "counter", "CoA and Disconnect requests, by kind and outcome.");
    for (kind, outcomes) in answered {
        for (outcome, count) in outcomes {
            let labels = format!("kind=\"{kind}\",outcome=\"{outcome}\"");
            let _ = writeln!(text, "lastmile_bng_coa_requests_total{{{labels}}} {count}");
        }
    }
}

/// A router's name is printable, and else whatever its circuit-ids begin with.
fn label(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', r#"\""#)
}

pub(super) fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}
