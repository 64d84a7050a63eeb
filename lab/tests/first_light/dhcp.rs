//! What clients say between their first exchange and their release, and what becomes of it.

use serde_json::Value;

use crate::{
    causes::{ended, ip, leases, mac, number, restored},
    lab::{Lab, ensure, eventually},
    life::uid,
};

/// Where leases come from.
const SERVER: &str = "10.231.1.2";

/// Has a subscriber's udhcpc renew now. The lab's processes are one another's; his client is told by his network namespace.
fn renew(lab: &Lab, subscriber: &str) -> Result<(), String> {
    lab.exec(subscriber, &["sh", "-c", "pkill -USR1 -x udhcpc --ns $$ --nslist net"]).map(drop)
}

/// How often a subscriber's client logged a word.
fn logged(lab: &Lab, subscriber: &str, word: &str) -> Result<usize, String> {
    Ok(lab.run(&["logs", subscriber])?.matches(word).count())
}

/// Has the client renew, and waits until it says how.
fn renew_so(lab: &Lab, subscriber: &str, word: &str) -> Result<(), String> {
    let before = logged(lab, subscriber, word)?;
    renew(lab, subscriber)?;
    eventually(20, || {
        let after = logged(lab, subscriber, word)?;
        ensure(after > before, || format!("{subscriber}'s client does not say {word:?}"))
    })
}

/// A number of a gateway's `/metrics`.
pub fn metric(lab: &Lab, bng: &str, name: &str) -> Result<u64, String> {
    let address = format!("10.231.0.1{}", &bng[bng.len() - 1..]);
    let metrics = lab.exec(bng, &["curl", "-s", "--max-time", "5", &format!("http://{address}:9100/metrics")])?;
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.ok_or_else(|| format!("{bng} has no metric {name}"))
}

/// Whose session was ended here is refused at his next renewal (DHCPNAK) and comes back by DISCOVER, with another session.
pub fn sent_back(lab: &Lab, subscriber: &str, session: &Value) -> Result<(), String> {
    renew_so(lab, subscriber, "DHCP NAK")?;
    let line = session["spec"]["remoteId"].as_str().unwrap_or_default();
    restored(lab, subscriber, line)?;
    ensure(uid(&lab.session_of(line)?) != uid(session), || "a new session has the old one's identity".into())
}

/// When Kea lets a lease run out, seconds, and whose it is by option 82.
fn lease(lab: &Lab, address: &str) -> Result<(i64, String), String> {
    let fields = "SELECT extract(epoch FROM expire)::bigint, user_context FROM lease4 WHERE state = 0 AND address =";
    let row = lab.sql("kea", &format!("{fields} {}", number(address)))?;
    let (expire, context) = row.split_once('|').ok_or_else(|| format!("Kea has no lease of {address}"))?;
    Ok((expire.parse().map_err(|error| format!("{error}: {expire}"))?, context.to_owned()))
}

/// A renewal goes to the server alone (RFC 2131 §4.3.2), a rebind to all, past the relay or through it. Either prolongs the lease,
/// and the session stays the one it was.
pub fn renewals(lab: &Lab) -> Result<(), String> {
    const SUBSCRIBER: &str = "sub-04";
    let session = lab.session_of("line-04")?;
    let (mut end, context) = lease(lab, ip(&session))?;
    let mut prolonged = |word: &str| {
        // Kea's times are whole seconds.
        std::thread::sleep(std::time::Duration::from_secs(2));
        renew_so(lab, SUBSCRIBER, word)?;
        eventually(10, || {
            let (next, now) = lease(lab, ip(&session))?;
            ensure(next > end, || format!("after {word:?} the lease ends at {next} as before"))?;
            ensure(now == context, || format!("option 82 was {context}, and is {now}"))?;
            end = next;
            Ok(())
        })
    };
    prolonged(&format!("sending renew to server {SERVER}"))?;
    // A client that cannot reach its server asks all.
    lab.exec(SUBSCRIBER, &["ip", "route", "add", "unreachable", SERVER])?;
    let rebound = prolonged("broadcasting renew");
    lab.exec(SUBSCRIBER, &["ip", "route", "delete", "unreachable", SERVER])?;
    rebound?;
    // The session says so with its next interim.
    eventually(60, || {
        let now = lab.session_of("line-04")?;
        ensure(uid(&now) == uid(&session), || "it is another session".into())?;
        let until = now["status"]["leaseExpiresAt"].as_str().unwrap_or_default();
        let reached = lab.sql("kea", &format!("SELECT timestamptz '{until}' >= to_timestamp({end})"))?;
        ensure(reached == "t", || format!("the session's lease ends at {until}, Kea's {end} s after 1970"))
    })?;
    let starts = format!(
        "SELECT count(*) FROM session_events WHERE event_type IN ('SESSION_START', 'SESSION_STOP') AND session_id = '{}'",
        uid(&session)
    );
    ensure(lab.sql("lastmile", &starts)? == "1", || "it was started or stopped again".into())?;
    lab.exec(SUBSCRIBER, &["ping", "-c", "1", "-W", "1", "198.51.100.10"]).map(drop)
}

/// Sends a message of a client's from its port, and prints what comes back.
const ASK: &str =
    "my $port = IO::Socket::INET->new(Proto => 'udp', LocalPort => 68, PeerAddr => $ARGV[0], PeerPort => 67) or die $!;
    $port->send(pack('H*', $ARGV[1])); alarm 3; $port->recv(my $answer, 1500); print unpack('H*', $answer)";

/// No client of the lab's says INFORM (RFC 2131 §4.4.3): these are the octets of one, in hex.
fn inform_message(session: &Value) -> String {
    let zeros = |octets: usize| "00".repeat(octets);
    let (client, device) = (number(ip(session)), mac(session).replace(':', ""));
    format!("010106005ca1ab1e{}{client:08x}{}{device}{}63825363350108370103ff", zeros(4), zeros(12), zeros(10 + 192))
}

/// Who has an address and asks for the rest is answered by the server, and stays what he was.
pub fn inform(lab: &Lab) -> Result<(), String> {
    let session = lab.session_of("line-06")?;
    let before = (lab.sessions()?.len(), lease(lab, ip(&session))?);
    let message = inform_message(&session);
    let answer = eventually(20, || lab.exec("sub-06", &["perl", "-MIO::Socket::INET", "-e", ASK, SERVER, &message]))?;
    // A reply to this very message, of type ACK, that leases nothing: neither yiaddr nor option 51.
    let ack =
        answer.starts_with("020106") && answer.get(8..16) == Some("5ca1ab1e") && answer.contains("63825363350105");
    ensure(ack && answer.get(32..40) == Some("00000000"), || format!("the answer is {answer:?}"))?;
    let now = lab.session_of("line-06")?;
    ensure(uid(&now) == uid(&session) && ip(&now) == ip(&session), || format!("{now:#}"))?;
    let after = (lab.sessions()?.len(), lease(lab, ip(&session))?);
    ensure(after == before, || format!("sessions and lease were {before:?}, and are {after:?}"))
}

/// A client that finds its address taken declines it: Kea gives it to nobody else, and the client gets another one.
pub fn decline(lab: &Lab) -> Result<(), String> {
    let session = lab.session_of("line-02")?;
    let address = ip(&session);
    lab.run(&["subscriber", "stop", "sub-02"])?;
    // The router answers the client's ARP probe.
    let own = format!("{address}/32");
    lab.exec("ar-01", &["ip", "address", "add", &own, "dev", "lan0"])?;
    let declined = declines(lab, &session);
    lab.exec("ar-01", &["ip", "address", "delete", &own, "dev", "lan0"])?;
    lab.sql("kea", &format!("DELETE FROM lease4 WHERE state = 1 AND address = {}", number(address)))?;
    restored(lab, "sub-02", "line-02")?;
    declined
}

fn declines(lab: &Lab, session: &Value) -> Result<(), String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/run/subscribers/udhcpc-script");
    let client = ["udhcpc", "-a", "-n", "-q", "-f", "-i", "eth0", "-t", "8", "-T", "1", "-A", "1", "-s", script];
    lab.exec("sub-02", &client)?;
    ended(lab, "bng-01", session, "NAS-Request", 20)?;
    let detail = format!("SELECT terminate_detail FROM sessions_history WHERE session_id = '{}'", uid(session));
    let detail = lab.sql("lastmile", &detail)?;
    ensure(detail == "DHCPDECLINE", || format!("it ended by {detail:?}"))?;
    let state = lab.sql("kea", &format!("SELECT state FROM lease4 WHERE address = {}", number(ip(session))))?;
    ensure(state == "1", || format!("Kea has the address in state {state:?}, not as declined"))?;
    let next = eventually(10, || lab.session_of("line-02"))?;
    ensure(ip(&next) != ip(session) && uid(&next) != uid(session), || format!("{next:#}"))
}

/// A lease that somebody took out of Kea leaves a session that Kea knows nothing of. The gateway finds it when it compares, every
/// minute, and ends it; its client is sent back at the next renewal.
pub fn lease_gone(lab: &Lab) -> Result<(), String> {
    let healed = || metric(lab, "bng-02", r#"lastmile_bng_lease_drift_total{kind="stopped"}"#);
    let session = lab.session_of("line-06")?;
    let before = healed()?;
    lab.sql("kea", &format!("DELETE FROM lease4 WHERE address = {}", number(ip(&session))))?;
    ended(lab, "bng-02", &session, "Lost-Carrier", 90)?;
    eventually(10, || {
        let after = healed()?;
        ensure(after == before + 1, || format!("{before} sessions without a lease were stopped, then {after}"))
    })?;
    sent_back(lab, "sub-06", &session)?;
    let lease = leases(lab, ip(&lab.session_of("line-06")?))?;
    ensure(!lease.is_empty(), || "the new session has no lease in Kea".into())
}
