//! Dynamic authorization (RFC 5176): what a CoA-Request or Disconnect-Request does to the one session that it names.
//!
//! The shell has verified and decoded the request; here it is decided. All identifiers given must be the session's. A change patches
//! what RADIUS granted, so it stands wherever an Access-Accept would: in the journal, above every policy, until the session ends.

use std::net::Ipv4Addr;

use lastmile_types::{MacAddr, Octets, SessionId, session::AuthState, session::Rates, session::TerminateCause};
use serde::{Deserialize, Serialize};

use crate::{
    effect::{Action, Admission, Effects},
    input::Grant,
    machine::Machine,
    session::{Session, Waiting},
    time::Now,
};

/// Longest NAS-Port-Id (RFC 2869 §5.17).
const PORT_ID_MAX: usize = 253;
/// Longest content of a vendor's attribute (RFC 2865 §5.26).
const VENDOR_MAX: usize = 247;
/// Interim records come no closer, seconds.
const INTERIM_MIN: u32 = 10;

/// NAS-Port-Id: the circuit-id's text form, as much of it as the attribute takes.
pub fn nas_port_id(circuit_id: &Octets) -> String {
    let mut text = circuit_id.to_string();
    text.truncate(PORT_ID_MAX); // the text form is ASCII
    text
}

/// Agent-Circuit-Id or Agent-Remote-Id (RFC 4679 §3.3): as much of the octets as a vendor's attribute takes.
pub fn agent_id(id: &Octets) -> &[u8] {
    let octets = id.as_bytes();
    &octets[..octets.len().min(VENDOR_MAX)]
}

/// A request that may be believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CoaRequest {
    /// For the answer.
    pub order: u64,
    /// Whom it is for.
    pub target: Target,
    /// What is to be done.
    pub wish: CoaWish,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CoaWish {
    /// CoA-Request.
    Change(Box<Patch>),
    /// Disconnect-Request.
    Disconnect {
        /// Who or why, for people.
        detail: String,
    },
}

/// How a change is taken back when the kernel refuses it: [`crate::Input::CoaRefused`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CoaUndo {
    /// The request's.
    pub order: u64,
    /// Whose terms were changed.
    pub session: SessionId,
    /// What had been granted before.
    pub grant: Grant,
    /// What was granted instead.
    pub changed: Grant,
}

/// NAS and session identification (RFC 5176 §3). What is given must match.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Target {
    /// NAS-Identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nas_identifier: Option<String>,
    /// NAS-IP-Address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nas_ip_address: Option<Ipv4Addr>,
    /// Acct-Session-Id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acct_session_id: Option<String>,
    /// User-Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// Framed-IP-Address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub framed_ip: Option<Ipv4Addr>,
    /// Calling-Station-Id: the MAC address, however its digits are grouped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calling_station_id: Option<String>,
    /// NAS-Port-Id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nas_port_id: Option<String>,
    /// Agent-Circuit-Id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit_id: Option<Octets>,
    /// Agent-Remote-Id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_id: Option<Octets>,
}

/// Changes of a grant; `None` and empty = as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Patch {
    /// Filter-Id: another policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_id: Option<String>,
    /// Session-Timeout, seconds since the session's start; 0 = unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_timeout_seconds: Option<u32>,
    /// Idle-Timeout, seconds; 0 = unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout_seconds: Option<u32>,
    /// Acct-Interim-Interval, seconds; 0 = as the policy says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interim_seconds: Option<u32>,
    /// Class, all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub class: Vec<Octets>,
    /// Limits, 0 = none; a direction of which nothing is said stays as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rates: Option<Rates>,
}

/// Why a request is refused: Error-Cause (RFC 5176 §3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ErrorCause {
    /// An attribute that means nothing here.
    UnsupportedAttribute,
    /// No session is identified, or nothing is to be changed.
    MissingAttribute,
    /// NAS-Identifier or NAS-IP-Address is another's.
    NasIdentificationMismatch,
    /// An attribute is malformed, or there twice.
    InvalidRequest,
    /// A Service-Type other than Framed.
    UnsupportedService,
    /// A value that cannot be put in force, such as a Filter-Id that names no policy.
    InvalidAttributeValue,
    /// The session is not authorized: there is nothing to change.
    AdministrativelyProhibited,
    /// There is no such session.
    SessionContextNotFound,
    /// The journal takes nothing, or the kernel refuses the limits.
    ResourcesUnavailable,
    /// More than one session is identified.
    MultipleSessionSelectionUnsupported,
}

impl ErrorCause {
    /// The attribute's value.
    pub const fn code(self) -> u32 {
        match self {
            Self::UnsupportedAttribute => 401,
            Self::MissingAttribute => 402,
            Self::NasIdentificationMismatch => 403,
            Self::InvalidRequest => 404,
            Self::UnsupportedService => 405,
            Self::InvalidAttributeValue => 407,
            Self::AdministrativelyProhibited => 501,
            Self::SessionContextNotFound => 503,
            Self::ResourcesUnavailable => 506,
            Self::MultipleSessionSelectionUnsupported => 508,
        }
    }
}

impl Machine {
    pub(crate) fn on_coa(&mut self, now: Now, request: CoaRequest, effects: &mut Effects) {
        let CoaRequest { order, target, wish } = request;
        let (refused, undo) = match (self.identify(&target), wish) {
            (Err(cause), _) => (Some(cause), None),
            (Ok(id), CoaWish::Change(patch)) => match self.change(now, id, &patch, effects) {
                Ok(changed) => {
                    let undo = |(grant, changed)| Box::new(CoaUndo { order, session: id, grant, changed });
                    (None, changed.map(undo))
                }
                Err(cause) => (Some(cause), None),
            },
            (Ok(id), CoaWish::Disconnect { detail }) => {
                self.table.observe(id, |session| session.orders.push(Waiting::Coa(order)));
                return self.stop(now, id, TerminateCause::AdminReset, &detail, effects);
            }
        };
        effects.act(Action::CoaAnswer { order, refused, undo });
    }

    /// The kernel refused what a CoA-Request changed: it is as before, but for what was changed again since, and that is said.
    pub(crate) fn on_coa_refused(&mut self, now: Now, undo: CoaUndo, effects: &mut Effects) {
        let (order, id) = (undo.order, undo.session);
        if self.table.get(id).is_some_and(|session| session.ending.is_none()) {
            self.table.grant(id, |session| session.grant = undo.of(&session.grant));
            self.comply(now, id, effects);
            if let Some(session) = self.table.get(id).cloned() {
                // Also where the terms are the same in the end: the kernel may have others, or a part of them.
                effects.actions.extend(session.admitted.then(|| Action::SetLimits(Admission::of(&session))));
                self.say_applied(now, &session, "CoA taken back: the kernel refused it", effects);
            }
        }
        effects.act(Action::CoaAnswer { order, refused: Some(ErrorCause::ResourcesUnavailable), undo: None });
    }

    /// The one live session that every identifier given is of.
    fn identify(&self, target: &Target) -> Result<SessionId, ErrorCause> {
        let config = &self.settings.config;
        let ours = target.nas_identifier.as_ref().is_none_or(|id| *id == config.nas_identifier)
            && target.nas_ip_address.is_none_or(|ip| ip == config.nas_ip_address);
        if !ours {
            return Err(ErrorCause::NasIdentificationMismatch);
        }
        let candidates = self.candidates(target).ok_or(ErrorCause::MissingAttribute)?;
        let mut matching = candidates
            .filter_map(|id| self.table.get(id))
            .filter(|session| session.ending.is_none() && target.is(session))
            .map(|session| session.id);
        let id = matching.next().ok_or(ErrorCause::SessionContextNotFound)?;
        match matching.next() {
            None => Ok(id),
            Some(_) => Err(ErrorCause::MultipleSessionSelectionUnsupported),
        }
    }

    /// By the most telling identifier, whose index is asked: no search goes through all sessions. `None` without any.
    fn candidates<'a>(&'a self, target: &'a Target) -> Option<Box<dyn Iterator<Item = SessionId> + 'a>> {
        let table = &self.table;
        let bng_id = &self.settings.config.bng_id;
        Some(if let Some(id) = &target.acct_session_id {
            Box::new(id.parse().into_iter())
        } else if let Some(ip) = target.framed_ip {
            Box::new(table.by_ip(ip).map(|session| session.id).into_iter())
        } else if let Some(station) = &target.calling_station_id {
            Box::new(mac(station).into_iter().flat_map(|mac| table.of_mac(mac)))
        } else if let Some(name) = &target.user_name {
            Box::new(table.of_name(name))
        } else if let Some(circuit) = &target.circuit_id {
            Box::new(table.of_circuit(bng_id, circuit, circuit.as_bytes().len() < VENDOR_MAX))
        } else if let Some(port) = &target.nas_port_id {
            let circuits = circuit_of(port);
            let found: Vec<_> = table.of_circuit(bng_id, &circuits, port.len() < PORT_ID_MAX).collect();
            Box::new(found.into_iter())
        } else {
            let remote = target.remote_id.as_ref()?;
            Box::new(table.of_remote(remote, remote.as_bytes().len() < VENDOR_MAX))
        })
    }

    /// What had been granted before and what is now, if anything changed.
    fn change(
        &mut self,
        now: Now,
        id: SessionId,
        patch: &Patch,
        effects: &mut Effects,
    ) -> Result<Option<(Grant, Grant)>, ErrorCause> {
        let config = &self.settings.config;
        let session = self.table.get(id).ok_or(ErrorCause::SessionContextNotFound)?;
        if *patch == Patch::default() {
            return Err(ErrorCause::MissingAttribute);
        }
        if session.auth != AuthState::Authorized {
            return Err(ErrorCause::AdministrativelyProhibited);
        }
        let known = |id: &String| config.policies.iter().any(|policy| policy.filter_id() == id);
        let unknown = patch.filter_id.as_ref().is_some_and(|id| !known(id));
        if unknown || patch.interim_seconds.is_some_and(|seconds| (1..INTERIM_MIN).contains(&seconds)) {
            return Err(ErrorCause::InvalidAttributeValue);
        }
        let grant = patch.of(&session.grant);
        if grant == session.grant {
            return Ok(None); // it is so already
        }
        let changed = self.table.grant(id, |session| (std::mem::replace(&mut session.grant, grant.clone()), grant));
        self.comply(now, id, effects);
        if let Some(session) = self.table.get(id).cloned() {
            self.say_applied(now, &session, "CoA", effects);
        }
        Ok(changed)
    }
}

impl Target {
    fn is(&self, session: &Session) -> bool {
        let place = &session.key.attachment;
        let agent = |given: &Option<Octets>, id| given.as_ref().is_none_or(|given| given.as_bytes() == agent_id(id));
        self.acct_session_id.as_ref().is_none_or(|id| *id == session.acct_session_id())
            && self.framed_ip.is_none_or(|ip| ip == session.ip)
            && self.calling_station_id.as_ref().is_none_or(|station| mac(station) == Some(session.key.mac))
            && self.user_name.as_ref().is_none_or(|name| *name == session.subscriber)
            && self.nas_port_id.as_ref().is_none_or(|port| *port == nas_port_id(&place.circuit_id))
            && agent(&self.circuit_id, &place.circuit_id)
            && agent(&self.remote_id, &place.remote_id)
    }
}

impl CoaUndo {
    /// The grant without the change. What somebody changed again since is his.
    fn of(&self, grant: &Grant) -> Grant {
        fn one<T: Clone + PartialEq>(now: &T, changed: &T, before: &T) -> T {
            if now == changed { before.clone() } else { now.clone() }
        }
        let Self { grant: before, changed, .. } = self;
        Grant {
            filter_id: one(&grant.filter_id, &changed.filter_id, &before.filter_id),
            session_timeout_seconds: one(
                &grant.session_timeout_seconds,
                &changed.session_timeout_seconds,
                &before.session_timeout_seconds,
            ),
            idle_timeout_seconds: one(
                &grant.idle_timeout_seconds,
                &changed.idle_timeout_seconds,
                &before.idle_timeout_seconds,
            ),
            interim_seconds: one(&grant.interim_seconds, &changed.interim_seconds, &before.interim_seconds),
            framed_ip: grant.framed_ip,
            class: one(&grant.class, &changed.class, &before.class),
            rates: one(&grant.rates, &changed.rates, &before.rates),
        }
    }
}

impl Patch {
    /// The grant with the changes.
    fn of(&self, grant: &Grant) -> Grant {
        let mut new = grant.clone();
        new.filter_id = self.filter_id.clone().or(new.filter_id);
        new.session_timeout_seconds = self.session_timeout_seconds.or(new.session_timeout_seconds);
        new.idle_timeout_seconds = self.idle_timeout_seconds.or(new.idle_timeout_seconds);
        new.interim_seconds = self.interim_seconds.or(new.interim_seconds);
        if !self.class.is_empty() {
            new.class.clone_from(&self.class);
        }
        if let Some(rates) = self.rates {
            new.rates = Some(merged(new.rates.unwrap_or_default(), rates));
        }
        new
    }
}

/// Rate and burst of a direction change together.
fn merged(mut rates: Rates, new: Rates) -> Rates {
    if new.down_kbps.is_some() || new.down_burst_kbit.is_some() {
        (rates.down_kbps, rates.down_burst_kbit) = (new.down_kbps.or(rates.down_kbps), new.down_burst_kbit);
    }
    if new.up_kbps.is_some() || new.up_burst_kbit.is_some() {
        (rates.up_kbps, rates.up_burst_kbit) = (new.up_kbps.or(rates.up_kbps), new.up_burst_kbit);
    }
    rates
}

/// `02:00:5e:10:00:01`, `02-00-5E-10-00-01`, `0200.5e10.0001`, `02005e100001`.
fn mac(station: &str) -> Option<MacAddr> {
    let digits: String = station.chars().filter(|c| !":-.".contains(*c)).collect();
    let whole = digits.len() == 12 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let number = u64::from_str_radix(&digits, 16).ok().filter(|_| whole)?;
    let [_, _, octets @ ..] = number.to_be_bytes();
    Some(MacAddr(octets))
}

/// The octets whose text form it is, up to where that form breaks off.
fn circuit_of(port: &str) -> Octets {
    let mut octets = Vec::new();
    let mut rest = port.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'\\' {
            octets.push(*first);
            rest = after;
            continue;
        }
        let escaped = after.strip_prefix(b"x").and_then(|digits| digits.split_at_checked(2));
        let Some((digits, after)) = escaped else { break };
        let octet = std::str::from_utf8(digits).ok().and_then(|text| u8::from_str_radix(text, 16).ok());
        let Some(octet) = octet else { break };
        octets.push(octet);
        rest = after;
    }
    octets.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_mac_address_is_read_however_it_is_written() {
        for text in ["02:00:5e:10:00:0a", "02-00-5E-10-00-0A", "0200.5e10.000a", "02005e10000A"] {
            assert_eq!(mac(text), Some(MacAddr([2, 0, 0x5e, 0x10, 0, 0x0a])), "{text}");
        }
        for text in ["", "02:00:5e:10:00", "+2005e10000a", "02:00:5e:10:00:0a:0b", "zz:00:5e:10:00:0a"] {
            assert_eq!(mac(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_port_leads_back_to_its_circuit(bytes in proptest::collection::vec(any::<u8>(), 0..255)) {
            let circuit = Octets::from(bytes);
            let port = nas_port_id(&circuit);
            let found = circuit_of(&port);
            prop_assert!(circuit.as_bytes().starts_with(found.as_bytes()));
            prop_assert!(port.len() == PORT_ID_MAX || found == circuit);
        }

        #[test]
        fn any_port_is_read(port in ".*") {
            let _ = (circuit_of(&port), mac(&port));
        }
    }
}
