//! What the gateway does to packets, and what the dashboard shows of it.

use serde_json::Value;

use crate::lab::{Lab, ensure, eventually, output};

/// The host behind the uplink.
const INTERNET: &str = "198.51.100.10";

pub fn gate_is_open_for_the_authorized(lab: &Lab) -> Result<(), String> {
    for subscriber in 1..=7 {
        let node = format!("sub-0{subscriber}");
        eventually(10, || lab.exec(&node, &["ping", "-c", "1", "-W", "1", INTERNET]))?;
    }
    let address = lab.exec("sub-08", &["ip", "-4", "-br", "address", "show", "dev", "eth0"])?;
    ensure(address.contains("100.64.4."), || format!("sub-08 should have an address all the same: {address}"))?;
    ensure(lab.exec("sub-08", &["ping", "-c", "2", "-W", "1", INTERNET]).is_err(), || {
        "a rejected subscriber got through".into()
    })
}

pub fn protected_networks(lab: &Lab) -> Result<(), String> {
    for target in ["10.231.0.11", "10.231.1.2", "10.231.0.2", "10.231.0.1", "10.96.0.1"] {
        let reached = lab.exec("sub-01", &["ping", "-c", "1", "-W", "1", target]);
        ensure(reached.is_err(), || format!("a subscriber reached {target}"))?;
    }
    for (host, port) in
        [("10.231.0.11", "10250"), ("10.231.11.1", "9443"), ("10.231.0.1", "6443"), ("10.96.0.1", "443")]
    {
        let script = format!("timeout 2 bash -c 'exec 3<>/dev/tcp/{host}/{port}'");
        ensure(lab.exec("sub-01", &["sh", "-c", &script]).is_err(), || format!("a subscriber opened {host}:{port}"))?;
    }
    // CoA, UDP: nothing is heard of it on the other side, not even that it is refused.
    let heard = || -> Result<u64, String> {
        let metrics = lab.exec("bng-01", &["curl", "-s", "--max-time", "5", "http://10.231.0.11:9100/metrics"])?;
        let line = metrics.lines().find(|line| line.contains("coa-unlisted-source"));
        Ok(line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default())
    };
    for host in ["10.231.0.11", "10.231.11.1"] {
        let _ = lab.exec("sub-01", &["bash", "-c", &format!("echo x > /dev/udp/{host}/3799")]);
    }
    std::thread::sleep(std::time::Duration::from_secs(2));
    let count = heard()?;
    ensure(count == 0, || format!("{count} datagrams of a subscriber's reached the CoA port"))
}

/// An octet counter of a session.
pub fn octets(session: &Value, name: &str) -> u64 {
    session["status"]["counters"][name].as_u64().unwrap_or_default()
}

/// IP octets that a subscriber's interface received so far, by the kernel's own count.
fn received(lab: &Lab, node: &str) -> Result<u64, String> {
    const ETHERNET_HEADER: u64 = 14;
    // Not /sys: that is the machine's.
    let text = lab.exec(node, &["cat", "/proc/self/net/dev"])?;
    let line = text.lines().find_map(|line| line.trim().strip_prefix("eth0:")).ok_or_else(|| text.clone())?;
    let numbers: Vec<u64> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    match numbers[..] {
        [octets, packets, ..] => Ok(octets - ETHERNET_HEADER * packets),
        _ => Err(text),
    }
}

pub fn traffic_is_counted(lab: &Lab) -> Result<(), String> {
    let before = octets(&lab.session_of("line-03")?, "inputOctets");
    let received_before = received(lab, "sub-03")?;
    lab.exec("sub-03", &["iperf3", "-c", INTERNET, "-R", "-n", "4M"])?;
    let expected = received(lab, "sub-03")? - received_before;
    ensure(expected > 4 << 20, || format!("iperf3 moved only {expected} octets"))?;
    eventually(90, || {
        let counted = octets(&lab.session_of("line-03")?, "inputOctets") - before;
        ensure(counted.abs_diff(expected) * 100 <= expected * 2, || {
            format!("{expected} octets were received, {counted} were counted")
        })
    })
}

pub fn malformed_frame_is_counted(lab: &Lab) -> Result<(), String> {
    let drops = || -> Result<u64, String> {
        let metrics = lab.exec("bng-01", &["curl", "-s", "--max-time", "5", "http://10.231.0.11:9100/metrics"])?;
        let line = metrics.lines().filter(|line| line.starts_with("lastmile_bng_dropped") && line.contains("dhcp_"));
        Ok(line.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
    };
    let before = drops()?;
    lab.exec("ar-01", &["bash", "-c", "printf 'no DHCP at all' > /dev/udp/10.231.1.2/67"])?;
    eventually(10, || {
        let after = drops()?;
        ensure(after > before, || format!("{before} drops before, {after} after a frame that is no DHCP"))
    })
}

pub fn dashboard(lab: &Lab) -> Result<(), String> {
    let web = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../web");
    let mut browser = std::process::Command::new("npm");
    browser.args(["run", "--silent", "e2e"]).current_dir(&web);
    // The screenshots of the documentation are taken on purpose, not by every test run.
    browser.env("SCREENSHOTS", web.join("../target/screenshots"));
    browser.env("LASTMILE_URL", lab.variable("LASTMILE_URL")?).env("LASTMILE_TOKEN", lab.variable("LASTMILE_TOKEN")?);
    output(&mut browser).map(drop)
}
