//! Kea's JSON of a lease, as the machine reads it.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use lastmile_session::{KeaLease, RelayInfo};
use lastmile_types::{MacAddr, Octets};
use lastmile_wire::option82::{self, Option82};
use serde::Deserialize;
use serde_json::Value;

/// What of a lease is read.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Json {
    ip_address: Ipv4Addr,
    hw_address: MacAddr,
    cltt: i64,
    valid_lft: u32,
    #[serde(default)]
    state: u32,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    user_context: Value,
}

/// A lease; `None` where it is not of a kind that we serve, such as one without hardware address.
pub fn read(lease: &Value) -> Option<KeaLease> {
    let json = Json::deserialize(lease).ok()?;
    Some(KeaLease {
        ip: json.ip_address,
        mac: json.hw_address,
        last: Timestamp::from_second(json.cltt).ok()?,
        valid_seconds: json.valid_lft,
        active: json.state == 0,
        relay_info: relay_info(&json.user_context),
        hostname: Some(json.hostname).filter(|name| !name.is_empty()),
    })
}

/// `ISC.relay-agent-info`: the option in hex in Kea 2.2, a map with `sub-options` later.
fn relay_info(context: &Value) -> Option<RelayInfo> {
    let kept = &context["ISC"]["relay-agent-info"];
    let text = kept.as_str().or_else(|| kept["sub-options"].as_str())?;
    let bytes = from_hex(text.strip_prefix("0x").unwrap_or(text))?;
    // With or without the option's own code and length: no sub-option has the code 82.
    let raw = match bytes.as_slice() {
        [option82::CODE, length, rest @ ..] if usize::from(*length) == rest.len() => rest,
        all => all,
    };
    let option = Option82::parse(raw).ok()?;
    let raw = once(raw, &option);
    let octets = |value: Option<&[u8]>| value.filter(|value| !value.is_empty()).map(Octets::from);
    Some(RelayInfo {
        circuit_id: octets(option.circuit_id()),
        remote_id: octets(option.remote_id()),
        raw: Octets::from(raw),
    })
}

/// Kea 2.2 has an option that came in pieces (RFC 3396) twice: joined, and then its sub-options again by their codes.
fn once<'a>(raw: &'a [u8], option: &Option82) -> &'a [u8] {
    let (joined, again) = option.subs().split_at(option.subs().len() / 2);
    let mut by_code = joined.to_vec();
    by_code.sort_by_key(|(code, _)| *code);
    if raw.len() > 255 && by_code == again { &raw[..raw.len() / 2] } else { raw }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|place| u8::from_str_radix(&text[place..place + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lease(relay_agent_info: Value) -> Value {
        json!({
            "ip-address": "100.64.1.50", "hw-address": "02:00:00:01:00:01", "cltt": 1_700_000_000, "valid-lft": 600,
            "state": 0, "hostname": "box", "subnet-id": 1, "fqdn-fwd": false, "fqdn-rev": false,
            "user-context": { "ISC": { "relay-agent-info": relay_agent_info } },
        })
    }

    #[test]
    fn relay_agent_info_is_read_in_every_shape() {
        let sub_options = "010961722D30317C312F3102076C696E652D3031";
        let shapes = [
            json!(format!("0x{sub_options}")),
            json!(format!("0x5214{sub_options}")),
            json!({ "sub-options": format!("0x{sub_options}"), "remote-id": "6C696E652D3031" }),
        ];
        for shape in shapes {
            let lease = read(&lease(shape.clone())).unwrap();
            let info = lease.relay_info.unwrap_or_else(|| panic!("{shape}"));
            assert_eq!(info.circuit_id, Some("ar-01|1/1".into()), "{shape}");
            assert_eq!(info.remote_id, Some("line-01".into()), "{shape}");
            assert_eq!(lease.last.as_second() + i64::from(lease.valid_seconds), 1_700_000_600);
            assert!(lease.active);
        }
    }

    #[test]
    fn an_option_that_came_in_pieces_is_read_once() {
        let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02X}")).collect::<String>();
        let remote = [&[2, 200][..], &[b'r'; 200]].concat();
        let circuit = [&[1, 100][..], &[b'c'; 100]].concat();
        let came = [&remote[..], &circuit].concat();
        let kept = [&came[..], &circuit, &remote].concat();
        for octets in [&came, &kept] {
            let info = read(&lease(json!(format!("0x{}", hex(octets))))).unwrap().relay_info.unwrap();
            assert_eq!(info.raw.as_bytes(), came);
        }
    }

    #[test]
    fn what_cannot_be_read_is_nobodys() {
        for shape in [json!("0x01"), json!("0xé1"), json!("0x0105"), json!(7), json!(null), json!({})] {
            assert_eq!(read(&lease(shape.clone())).unwrap().relay_info, None, "{shape}");
        }
        assert_eq!(read(&json!({ "ip-address": "100.64.1.50" })), None);
        assert_eq!(read(&json!(null)), None);
        let declined = json!({ "ip-address": "100.64.1.50", "hw-address": "", "cltt": 1, "valid-lft": 1, "state": 1 });
        assert_eq!(read(&declined), None);
    }
}
