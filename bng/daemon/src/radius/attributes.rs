//! A session in RADIUS's terms, and a grant out of them.

use lastmile_session::{AccountingKind, AccountingRecord, Grant, Subject};
use lastmile_types::Octets;
use lastmile_wire::radius::{Attributes, TooLong, attr, vendor};

use super::Nas;

/// The attributes of an Access-Request, but for the password.
pub fn access(nas: &Nas, subject: &Subject) -> Result<Attributes, TooLong> {
    let mut attributes = identity(nas, subject)?;
    attributes.push_u32(attr::SERVICE_TYPE, attr::SERVICE_FRAMED);
    attributes.push_u32(attr::EVENT_TIMESTAMP, seconds(jiff::Timestamp::now()));
    Ok(attributes)
}

/// The attributes of an Accounting-Request that is sent now.
pub fn accounting(nas: &Nas, record: &AccountingRecord, now: jiff::Timestamp) -> Result<Attributes, TooLong> {
    let mut attributes = Attributes::new();
    let status = match record.kind {
        AccountingKind::Start => attr::STATUS_START,
        AccountingKind::Interim => attr::STATUS_INTERIM,
        AccountingKind::Stop => attr::STATUS_STOP,
    };
    attributes.push_u32(attr::ACCT_STATUS_TYPE, status);
    attributes.extend(&identity(nas, &record.subject)?);
    for class in &record.subject.class {
        attributes.push(attr::CLASS, class.as_bytes())?;
    }
    attributes.push_u32(attr::ACCT_AUTHENTIC, attr::AUTHENTIC_RADIUS);
    attributes.push_u32(attr::EVENT_TIMESTAMP, seconds(record.at));
    attributes.push_u32(attr::ACCT_DELAY_TIME, seconds(now).saturating_sub(seconds(record.at)));
    if record.kind != AccountingKind::Start {
        usage(&mut attributes, record);
    }
    if let Some(ended) = &record.ended {
        attributes.push_u32(attr::ACCT_TERMINATE_CAUSE, ended.cause.code());
    }
    Ok(attributes)
}

fn usage(attributes: &mut Attributes, record: &AccountingRecord) {
    let port = record.counters.port_view();
    attributes.push_u32(attr::ACCT_SESSION_TIME, record.seconds);
    attributes.push_counter(attr::ACCT_INPUT_OCTETS, attr::ACCT_INPUT_GIGAWORDS, port.input_octets);
    attributes.push_counter(attr::ACCT_OUTPUT_OCTETS, attr::ACCT_OUTPUT_GIGAWORDS, port.output_octets);
    // RFC 2866 knows no gigawords for packets: they count modulo 2^32.
    attributes.push_u32(attr::ACCT_INPUT_PACKETS, port.input_packets as u32);
    attributes.push_u32(attr::ACCT_OUTPUT_PACKETS, port.output_packets as u32);
}

/// Who and where.
fn identity(nas: &Nas, subject: &Subject) -> Result<Attributes, TooLong> {
    let mut attributes = Attributes::new();
    attributes.push(attr::USER_NAME, subject.user_name.as_bytes())?;
    attributes.push(attr::NAS_IDENTIFIER, nas.identifier.as_bytes())?;
    attributes.push_address(attr::NAS_IP_ADDRESS, nas.address);
    attributes.push_u32(attr::NAS_PORT_TYPE, attr::PORT_TYPE_ETHERNET);
    attributes.push(attr::NAS_PORT_ID, subject.circuit_id.to_string().as_bytes())?;
    attributes.push(attr::CALLING_STATION_ID, subject.mac.to_string().as_bytes())?;
    attributes.push_address(attr::FRAMED_IP_ADDRESS, subject.ip);
    attributes.push(attr::ACCT_SESSION_ID, subject.acct_session_id.as_bytes())?;
    for (kind, id) in [(vendor::AGENT_CIRCUIT_ID, &subject.circuit_id), (vendor::AGENT_REMOTE_ID, &subject.remote_id)] {
        if !id.as_bytes().is_empty() {
            attributes.push_vendor(vendor::ADSL_FORUM, kind, id.as_bytes())?;
        }
    }
    Ok(attributes)
}

/// What an Access-Accept grants.
pub fn grant_of(attributes: &Attributes) -> Grant {
    Grant {
        filter_id: attributes.text(attr::FILTER_ID).map(str::to_owned),
        session_timeout_seconds: attributes.u32(attr::SESSION_TIMEOUT),
        idle_timeout_seconds: attributes.u32(attr::IDLE_TIMEOUT),
        interim_seconds: attributes.u32(attr::ACCT_INTERIM_INTERVAL),
        framed_ip: attributes.address(attr::FRAMED_IP_ADDRESS),
        class: attributes.all(attr::CLASS).map(Octets::from).collect(),
        rates: None,
    }
}

/// Seconds since 1970, as RADIUS has them.
fn seconds(time: jiff::Timestamp) -> u32 {
    u32::try_from(time.as_second()).unwrap_or(0)
}
