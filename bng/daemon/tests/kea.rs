//! Kea's lease commands against a real Kea. Run under `lab services --`.

#[allow(dead_code)] // only its configuration is wanted here
mod node;

use std::{net::Ipv4Addr, path::PathBuf, sync::Arc, time::Instant};

use lastmile_bng::{
    config::Config,
    dhcp_io,
    kea::KeaClient,
    kea_lease,
    leases::{Ask, Leases},
    radius::{RateError, Settings},
};
use lastmile_netio::{
    capture::{Batch, Capture, Filter},
    rawip::RawIp,
};
use lastmile_session::{DhcpKind, Input, PROBE_MAC, Side};
use lastmile_types::config::{Kea, KeaForm};
use rustls::{ServerConfig, server::ResolvesServerCertUsingSni};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

fn endpoint() -> String {
    std::env::var("LASTMILE_TEST_KEA").expect("LASTMILE_TEST_KEA is not set: run this under `lab services --`")
}

async fn tell(command: &str, arguments: Value) -> Value {
    let request = json!({ "command": command, "service": ["dhcp4"], "arguments": arguments });
    let answer = reqwest::Client::new().post(endpoint()).json(&request).send().await.unwrap();
    answer.json::<Value>().await.unwrap()[0].clone()
}

/// There is one Kea, and each test looks at all of its leases.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test]
async fn leases_are_paged_found_and_deleted() {
    let _alone = ALONE.lock().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kea = KeaClient::new(&Kea { url: endpoint(), form: KeaForm::ControlAgent });
    let config = tell("config-get", json!({})).await;
    let subnet = &config["arguments"]["Dhcp4"]["subnet4"][0];
    let prefix: ipnet::Ipv4Net = subnet["subnet"].as_str().unwrap().parse().unwrap();
    let address = |last: u32| Ipv4Addr::from(u32::from(prefix.network()) + last);
    assert_eq!(kea.lease(address(30)).await.unwrap(), None, "only Kea's own word is None");
    assert!(kea.leases(prefix.network(), 1000).await.unwrap().is_empty());
    for last in 30..35 {
        let lease = json!({
            "ip-address": address(last), "hw-address": format!("02:00:00:01:00:{last}"), "subnet-id": subnet["id"],
            "valid-lft": 600,
            "user-context": { "ISC": { "relay-agent-info": "0x521401096172 2D30317C312F3102076C696E652D3031".replace(' ', "") } },
        });
        let added = tell("lease4-add", lease).await;
        assert_eq!(added["result"], 0, "{added}");
    }
    let (mut from, mut seen) = (prefix.network(), Vec::new());
    loop {
        let page = kea.leases(from, 2).await.unwrap();
        let leases: Vec<_> = page.iter().map(|lease| kea_lease::read(lease).unwrap()).collect();
        let Some(last) = leases.last() else { break };
        from = last.ip;
        seen.extend(leases);
    }
    assert_eq!(seen.iter().map(|lease| lease.ip).collect::<Vec<_>>(), (30..35).map(address).collect::<Vec<_>>());
    let one = kea_lease::read(&kea.lease(address(31)).await.unwrap().unwrap()).unwrap();
    assert_eq!(one.relay_info.unwrap().circuit_id, Some("ar-01|1/1".into()));
    assert!(one.active && one.mac.to_string() == "02:00:00:01:00:31" && one.valid_seconds == 600);
    for last in 30..35 {
        kea.delete(address(last)).await.unwrap();
    }
    kea.delete(address(31)).await.unwrap();
    assert_eq!(kea.lease(address(31)).await.unwrap(), None);
    let dead = KeaClient::new(&Kea { url: "http://127.0.0.1:9".into(), form: KeaForm::Direct });
    assert!(dead.lease(address(31)).await.is_err() && dead.leases(address(0), 10).await.is_err());
}

#[tokio::test]
async fn a_probe_is_answered_and_leases_nothing() {
    let _alone = ALONE.lock().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kea = KeaClient::new(&Kea { url: endpoint(), form: KeaForm::ControlAgent });
    let config = tell("config-get", json!({})).await;
    let relay = &config["arguments"]["Dhcp4"]["subnet4"][0]["relay"]["ip-addresses"][0];
    let giaddr: Ipv4Addr = relay.as_str().unwrap().parse().unwrap();
    let (gateway, server) = (Ipv4Addr::new(127, 0, 0, 9), Ipv4Addr::LOCALHOST);
    let capture = Capture::open("lo", Filter::DhcpFromServers).unwrap();
    let probe = dhcp_io::probe(gateway, server, giaddr).unwrap();
    assert_eq!(RawIp::open().unwrap().send(&[probe]).unwrap(), 1);
    let mut batch = Batch::new();
    let answer = tokio::time::timeout(std::time::Duration::from_secs(5), async {
        loop {
            capture.recv(&mut batch).await.unwrap();
            let mut read = batch.frames().filter_map(|frame| {
                let in_hand = dhcp_io::read(&frame).ok()?;
                dhcp_io::describe(&in_hand, Side::Server).ok()
            });
            if let Some(answer) = read.find(|message| message.kind == DhcpKind::Ack) {
                return answer;
            }
        }
    });
    let answer = answer.await.expect("Kea answers a DHCPINFORM");
    assert_eq!((answer.chaddr, answer.source_ip), (PROBE_MAC, server));
    assert_eq!((answer.destination_ip, answer.server_id), (gateway, Some(server)));
    assert_eq!(kea.leases(Ipv4Addr::UNSPECIFIED, 10).await.unwrap(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_queue_of_questions_delays_no_page_and_makes_one_pass() {
    const QUESTIONS: usize = 2_000;
    let _alone = ALONE.lock().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (_config, config) = watch::channel(Arc::new(config()));
    let (ask, asked) = mpsc::unbounded_channel();
    let (inputs, mut seen) = mpsc::unbounded_channel();
    let (findings, _findings) = mpsc::unbounded_channel();
    let questions = (0..QUESTIONS).map(|number| Ipv4Addr::new(100, 64, 1, 1 + (number % 250) as u8));
    questions.for_each(|ip| ask.send(Ask::Lease { ip, renewal: true }).unwrap());
    let begin = Instant::now();
    tokio::spawn(Leases { config, asked, inputs, findings }.run());
    // One answer for each question, one page for each pass.
    let (mut answers, mut pages) = (0, Vec::new());
    while answers < QUESTIONS || pages.len() < 2 {
        match seen.recv().await.unwrap() {
            Input::Lease { .. } => answers += 1,
            Input::Leases(page) => pages.push((answers, page.first && page.last)),
            other => panic!("{other:?}"),
        }
    }
    let minutes = begin.elapsed().as_secs() as usize / 60;
    assert!(pages[0].0 < QUESTIONS / 2, "the first page came after {} answers", pages[0].0);
    assert!(pages.iter().all(|(_, whole)| *whole), "{pages:?}");
    assert!(pages.len() <= 2 * (1 + minutes), "{pages:?}");
}

/// Of a gateway that has nothing but Kea.
fn config() -> Config {
    let mut bng = node::config(0);
    bng.kea = Some(Kea { url: endpoint(), form: KeaForm::ControlAgent });
    let radius = Settings::read(&bng, |_| Ok::<_, RateError>(Vec::new())).unwrap();
    let nobody = Arc::new(ResolvesServerCertUsingSni::new());
    let tls = Arc::new(ServerConfig::builder().with_no_client_auth().with_cert_resolver(nobody));
    Config { folder: PathBuf::new(), bng, radius, coa: None, tls }
}
