//! What the gateway says of a session in RADIUS, and what it takes from an Access-Accept (RFC 2865, 2866, 2869, 4679).

use jiff::Timestamp;
use lastmile_session::{AccountingKind, AccountingRecord, AuthAnswer, Grant, Subject, agent_id, nas_port_id};
use lastmile_types::Octets;
use lastmile_wire::radius::{Attributes, Code, Packet, TooLong, attr, vendor};

use super::Settings;

/// Of an Access-Request, but for User-Password and Message-Authenticator.
pub fn access(settings: &Settings, subject: &Subject, at: Timestamp) -> Result<Attributes, TooLong> {
    let mut list = identity(settings, subject)?;
    list.push_u32(attr::SERVICE_TYPE, attr::SERVICE_FRAMED);
    list.push_u32(attr::EVENT_TIMESTAMP, seconds(at));
    Ok(list)
}

/// Of a Status-Server, and of what is said of the gateway itself.
pub fn status(settings: &Settings) -> Result<Attributes, TooLong> {
    let mut list = Attributes::new();
    list.push(attr::NAS_IDENTIFIER, settings.nas_identifier.as_bytes())?;
    list.push_address(attr::NAS_IP_ADDRESS, settings.nas_ip_address);
    Ok(list)
}

/// Of an Accounting-Request; `delay` is how many seconds late it is sent.
pub fn accounting(settings: &Settings, record: &AccountingRecord, delay: u32) -> Result<Attributes, TooLong> {
    let mut list = match &record.subject {
        Some(subject) => of_session(settings, subject)?,
        None => of_gateway(settings, record)?,
    };
    list.push_u32(attr::ACCT_STATUS_TYPE, status_type(record.kind));
    list.push_u32(attr::EVENT_TIMESTAMP, seconds(record.at));
    list.push_u32(attr::ACCT_DELAY_TIME, delay);
    if matches!(record.kind, AccountingKind::Interim | AccountingKind::Stop) {
        let port = record.counters.port_view();
        list.push_counter(attr::ACCT_INPUT_OCTETS, attr::ACCT_INPUT_GIGAWORDS, port.input_octets);
        list.push_counter(attr::ACCT_OUTPUT_OCTETS, attr::ACCT_OUTPUT_GIGAWORDS, port.output_octets);
        list.push_u32(attr::ACCT_INPUT_PACKETS, port.input_packets as u32); // modulo 2^32, as RFC 2866 §5.8 has it
        list.push_u32(attr::ACCT_OUTPUT_PACKETS, port.output_packets as u32);
        list.push_u32(attr::ACCT_SESSION_TIME, record.seconds);
    }
    if let Some(ended) = &record.ended {
        list.push_u32(attr::ACCT_TERMINATE_CAUSE, ended.cause.code());
    }
    Ok(list)
}

fn status_type(kind: AccountingKind) -> u32 {
    match kind {
        AccountingKind::Start => attr::STATUS_START,
        AccountingKind::Interim => attr::STATUS_INTERIM,
        AccountingKind::Stop => attr::STATUS_STOP,
        AccountingKind::On => attr::STATUS_ON,
        AccountingKind::Off => attr::STATUS_OFF,
    }
}

fn of_session(settings: &Settings, subject: &Subject) -> Result<Attributes, TooLong> {
    let mut list = identity(settings, subject)?;
    list.push_u32(attr::ACCT_AUTHENTIC, attr::AUTHENTIC_RADIUS);
    for class in &subject.class {
        list.push(attr::CLASS, class.as_bytes())?;
    }
    Ok(list)
}

/// RFC 2866 §5.13 asks for an Acct-Session-Id in every request; this one is no session's.
fn of_gateway(settings: &Settings, record: &AccountingRecord) -> Result<Attributes, TooLong> {
    let mut list = status(settings)?;
    list.push(attr::ACCT_SESSION_ID, record.session.to_string().as_bytes())?;
    Ok(list)
}

fn identity(settings: &Settings, subject: &Subject) -> Result<Attributes, TooLong> {
    let mut list = Attributes::new();
    list.push(attr::USER_NAME, subject.user_name.as_bytes())?;
    list.push(attr::NAS_IDENTIFIER, settings.nas_identifier.as_bytes())?;
    list.push_address(attr::NAS_IP_ADDRESS, settings.nas_ip_address);
    list.push(attr::NAS_PORT_ID, nas_port_id(&subject.circuit_id).as_bytes())?;
    list.push_u32(attr::NAS_PORT_TYPE, attr::PORT_TYPE_ETHERNET);
    list.push(attr::CALLING_STATION_ID, subject.mac.to_string().as_bytes())?;
    list.push_address(attr::FRAMED_IP_ADDRESS, subject.ip);
    list.push(attr::ACCT_SESSION_ID, subject.acct_session_id.as_bytes())?;
    for (kind, id) in [(vendor::AGENT_CIRCUIT_ID, &subject.circuit_id), (vendor::AGENT_REMOTE_ID, &subject.remote_id)] {
        list.push_vendor(vendor::ADSL_FORUM, kind, agent_id(id))?;
    }
    Ok(list)
}

/// What a verified reply to an Access-Request says.
pub fn answer(settings: &Settings, reply: &Packet) -> AuthAnswer {
    let list = &reply.attributes;
    match reply.code {
        Code::ACCESS_ACCEPT => AuthAnswer::Accept(Box::new(Grant {
            filter_id: list.text(attr::FILTER_ID).map(str::to_owned),
            session_timeout_seconds: list.u32(attr::SESSION_TIMEOUT),
            idle_timeout_seconds: list.u32(attr::IDLE_TIMEOUT),
            interim_seconds: list.u32(attr::ACCT_INTERIM_INTERVAL),
            framed_ip: list.address(attr::FRAMED_IP_ADDRESS),
            class: list.all(attr::CLASS).map(Octets::from).collect(),
            rates: settings.rates.read(list),
        })),
        Code::ACCESS_REJECT => {
            let message = list.get(attr::REPLY_MESSAGE).map(|text| Octets::from(text).to_string()).unwrap_or_default();
            AuthAnswer::Reject { message }
        }
        // A challenge cannot be answered: nobody is there to be asked (RFC 2865 §4.4).
        _ => AuthAnswer::Reject { message: "Access-Challenge is not supported".to_owned() },
    }
}

fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.as_second()).unwrap_or(0)
}
