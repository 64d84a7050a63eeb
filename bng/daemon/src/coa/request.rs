//! What a verified request says: its attributes (RFC 5176 §3.6), or the Error-Cause why they make no sense. Pure.

use std::net::{IpAddr, Ipv4Addr};

use lastmile_session::{CoaWish, ErrorCause, Patch, Target};
use lastmile_types::Octets;
use lastmile_wire::radius::{Code, Packet, Place, Typed, attr, vendor, vendor_attributes};

use crate::radius::{Limit, RateTable};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// CoA-Request.
    Change,
    /// Disconnect-Request.
    Disconnect,
}

impl Kind {
    /// Of a verified request.
    pub fn of(packet: &Packet) -> Self {
        if packet.code == Code::DISCONNECT_REQUEST { Self::Disconnect } else { Self::Change }
    }

    /// The counter's stable label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Change => "coa",
            Self::Disconnect => "disconnect",
        }
    }

    /// The code of an answer.
    pub const fn answer(self, done: bool) -> Code {
        match (self, done) {
            (Self::Change, true) => Code::COA_ACK,
            (Self::Change, false) => Code::COA_NAK,
            (Self::Disconnect, true) => Code::DISCONNECT_ACK,
            (Self::Disconnect, false) => Code::DISCONNECT_NAK,
        }
    }
}

/// Whom the request is for, and what is to be done. A Disconnect-Request has identification only (RFC 5176 §3).
/// Limits are what the table says, as in an Access-Accept.
pub fn decode(packet: &Packet, source: IpAddr, rates: &RateTable) -> Result<(Target, CoaWish), ErrorCause> {
    let kind = Kind::of(packet);
    let mut reading =
        Reading { kind, rates, seen: Vec::new(), target: Target::default(), patch: Patch::default(), said: None };
    packet.attributes.iter().try_for_each(|attribute| reading.attribute(attribute))?;
    let wish = match kind {
        Kind::Change => CoaWish::Change(Box::new(Patch { rates: rates.read(&packet.attributes), ..reading.patch })),
        Kind::Disconnect => CoaWish::Disconnect {
            detail: match reading.said {
                None => format!("Disconnect-Request from {source}"),
                Some(said) => format!("Disconnect-Request from {source}: {said}"),
            },
        },
    };
    Ok((reading.target, wish))
}

struct Reading<'a> {
    kind: Kind,
    rates: &'a RateTable,
    /// Types that may come once.
    seen: Vec<(u32, u8)>,
    target: Target,
    patch: Patch,
    /// Reply-Message.
    said: Option<Octets>,
}

impl Reading<'_> {
    fn attribute(&mut self, (kind, value): Typed<'_>) -> Result<(), ErrorCause> {
        match kind {
            // The signature and the time are verified; Proxy-State is the answer's matter; several classes are an order.
            attr::MESSAGE_AUTHENTICATOR | attr::EVENT_TIMESTAMP | attr::PROXY_STATE => return Ok(()),
            attr::CLASS if self.kind == Kind::Change => {
                self.patch.class.push(value.into());
                return Ok(());
            }
            attr::VENDOR_SPECIFIC => return self.vendor_specific(value),
            kind if self.limit(Place::Standard(kind), value)? => return Ok(()),
            _ => self.once(0, kind)?,
        }
        let target = &mut self.target;
        match kind {
            attr::NAS_IDENTIFIER => target.nas_identifier = Some(text(value)?),
            attr::NAS_IP_ADDRESS => target.nas_ip_address = Some(address(value)?),
            attr::ACCT_SESSION_ID => target.acct_session_id = Some(text(value)?),
            attr::USER_NAME => target.user_name = Some(text(value)?),
            attr::FRAMED_IP_ADDRESS => target.framed_ip = Some(address(value)?),
            attr::CALLING_STATION_ID => target.calling_station_id = Some(text(value)?),
            attr::NAS_PORT_ID => target.nas_port_id = Some(text(value)?),
            kind => match self.kind {
                Kind::Change => self.change(kind, value)?,
                Kind::Disconnect if kind == attr::REPLY_MESSAGE => self.said = Some(value.into()),
                Kind::Disconnect => return Err(ErrorCause::UnsupportedAttribute),
            },
        }
        Ok(())
    }

    fn change(&mut self, kind: u8, value: &[u8]) -> Result<(), ErrorCause> {
        let patch = &mut self.patch;
        match kind {
            attr::FILTER_ID => patch.filter_id = Some(text(value)?),
            attr::SESSION_TIMEOUT => patch.session_timeout_seconds = Some(number(value)?),
            attr::IDLE_TIMEOUT => patch.idle_timeout_seconds = Some(number(value)?),
            attr::ACCT_INTERIM_INTERVAL => patch.interim_seconds = Some(number(value)?),
            attr::SERVICE_TYPE if number(value)? == attr::SERVICE_FRAMED => {}
            attr::SERVICE_TYPE => return Err(ErrorCause::UnsupportedService),
            _ => return Err(ErrorCause::UnsupportedAttribute),
        }
        Ok(())
    }

    fn vendor_specific(&mut self, content: &[u8]) -> Result<(), ErrorCause> {
        let (vendor, list) = vendor_attributes(content).map_err(|_| ErrorCause::InvalidRequest)?;
        for (kind, value) in list {
            if self.limit(Place::Vendor { vendor, kind }, value)? {
                continue;
            }
            self.once(vendor, kind)?;
            match (vendor, kind) {
                (vendor::ADSL_FORUM, vendor::AGENT_CIRCUIT_ID) => self.target.circuit_id = Some(value.into()),
                (vendor::ADSL_FORUM, vendor::AGENT_REMOTE_ID) => self.target.remote_id = Some(value.into()),
                _ => return Err(ErrorCause::UnsupportedAttribute),
            }
        }
        Ok(())
    }

    /// Whether it is a limit. One that cannot be understood cannot be put in force.
    fn limit(&self, place: Place, value: &[u8]) -> Result<bool, ErrorCause> {
        match self.rates.judge(place, value) {
            Limit::Not => Ok(false),
            _ if self.kind == Kind::Disconnect => Err(ErrorCause::UnsupportedAttribute),
            Limit::Understood => Ok(true),
            Limit::Senseless => Err(ErrorCause::InvalidAttributeValue),
        }
    }

    fn once(&mut self, vendor: u32, kind: u8) -> Result<(), ErrorCause> {
        if self.seen.contains(&(vendor, kind)) {
            return Err(ErrorCause::InvalidRequest);
        }
        self.seen.push((vendor, kind));
        Ok(())
    }
}

fn text(value: &[u8]) -> Result<String, ErrorCause> {
    let text = std::str::from_utf8(value).map_err(|_| ErrorCause::InvalidRequest)?;
    if text.is_empty() { Err(ErrorCause::InvalidRequest) } else { Ok(text.to_owned()) }
}

fn number(value: &[u8]) -> Result<u32, ErrorCause> {
    value.try_into().map(u32::from_be_bytes).map_err(|_| ErrorCause::InvalidRequest)
}

fn address(value: &[u8]) -> Result<Ipv4Addr, ErrorCause> {
    number(value).map(Ipv4Addr::from)
}
