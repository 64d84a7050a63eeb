//! Asking AAA, and what its answer does.

use std::net::Ipv4Addr;

use lastmile_types::{
    Event, MacAddr, Octets, SessionId, SessionKey, config::BngConfig, event::PolicyApply, session::AuthState,
};
use serde::{Deserialize, Serialize};

use crate::{
    accounting::AccountingKind,
    effect::{Action, Effects},
    input::{AuthAnswer, Grant},
    machine::Machine,
    selector::named,
    session::Session,
    time::Now,
};

/// First pause before AAA is asked again, milliseconds; doubled each time.
const RETRY_MS: u64 = 5_000;
/// Longest pause, milliseconds.
const RETRY_MAX_MS: u64 = 60_000;
/// First and longest pause before AAA is asked again for whom it rejected, milliseconds: who pays is online within minutes, and
/// ten thousand rejected subscribers cost a server no more than eleven requests a second. A DHCP exchange asks at once.
const REJECTED_MS: (u64, u64) = (60_000, 900_000);
/// Longest User-Name (RFC 2865 §5.1).
const USER_NAME_MAX: usize = 253;

/// Who a session is, as RADIUS is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// Acct-Session-Id.
    pub acct_session_id: String,
    /// User-Name; never empty.
    pub user_name: String,
    /// Framed-IP-Address.
    pub ip: Ipv4Addr,
    /// Calling-Station-Id.
    pub mac: MacAddr,
    /// Agent-Circuit-Id.
    pub circuit_id: Octets,
    /// Agent-Remote-Id.
    pub remote_id: Octets,
    /// Class, in order.
    pub class: Vec<Octets>,
}

/// One Access-Request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthRequest {
    /// For the answer.
    pub session: SessionId,
    /// For the answer.
    pub attempt: u32,
    /// Who.
    pub subject: Subject,
}

impl Subject {
    pub(crate) fn of(session: &Session) -> Self {
        Self {
            acct_session_id: session.acct_session_id(),
            user_name: session.subscriber.clone(),
            ip: session.ip,
            mac: session.key.mac,
            circuit_id: session.key.attachment.circuit_id.clone(),
            remote_id: session.key.attachment.remote_id.clone(),
            class: session.grant.class.clone(),
        }
    }
}

impl Machine {
    pub(crate) fn authenticate(&mut self, id: SessionId, effects: &mut Effects) {
        let request = self.table.edit(id, |session| {
            session.attempt = session.attempt.wrapping_add(1);
            session.auth_retry_ms = None;
            AuthRequest { session: id, attempt: session.attempt, subject: Subject::of(session) }
        });
        if let Some(request) = request {
            effects.act(Action::Authenticate(Box::new(request)));
        }
    }

    pub(crate) fn on_auth(&mut self, now: Now, id: SessionId, attempt: u32, answer: AuthAnswer, effects: &mut Effects) {
        let Some(session) = self.table.get(id) else { return };
        let wanted = session.ending.is_none() && session.attempt == attempt && session.auth != AuthState::Authorized;
        if !wanted {
            return;
        }
        match answer {
            AuthAnswer::Accept(grant) => match grant.framed_ip.filter(|ip| *ip != session.ip && is_unicast(*ip)) {
                None => self.accept(now, id, *grant, effects),
                Some(other) => {
                    self.reject(now, id, &format!("Framed-IP-Address {other} is not the leased address"), effects)
                }
            },
            AuthAnswer::Reject { message } if message.is_empty() => self.reject(now, id, "Access-Reject", effects),
            AuthAnswer::Reject { message } => self.reject(now, id, &format!("Access-Reject: {message}"), effects),
            AuthAnswer::NoAnswer => {
                self.table.edit(id, |session| session.ask_again(now, RETRY_MS, RETRY_MAX_MS));
            }
        }
    }

    /// The gate opens, or the walled garden is left: the element and its counters stay. Accounting starts here, with what the
    /// session has moved so far.
    fn accept(&mut self, now: Now, id: SessionId, grant: Grant, effects: &mut Effects) {
        self.table.grant(id, |session| {
            session.auth = AuthState::Authorized;
            session.grant = grant;
            session.accounted = true;
            session.interim_ms = None;
        });
        self.comply(now, id, effects);
        if let Some(session) = self.table.share(id) {
            self.say_applied(now, &session, "Access-Accept", effects);
            self.account(now, &session, AccountingKind::Start, effects);
        }
    }

    fn reject(&mut self, now: Now, id: SessionId, reason: &str, effects: &mut Effects) {
        let (first, longest) = REJECTED_MS;
        let before = self.table.edit(id, |session| {
            session.ask_again(now, first, longest);
            std::mem::replace(&mut session.auth, AuthState::Rejected)
        });
        self.comply(now, id, effects);
        if before != Some(AuthState::Rejected)
            && let Some(session) = self.table.share(id)
        {
            self.say_applied(now, &session, reason, effects);
        }
    }

    pub(crate) fn say_applied(&mut self, now: Now, session: &Session, reason: &str, effects: &mut Effects) {
        let filter_id = session.grant.filter_id.clone();
        let mut reason = reason.to_owned();
        if let Some(unknown) = filter_id.as_deref().filter(|id| named(&self.settings.config.policies, id).is_none()) {
            reason += &format!("; Filter-Id {unknown:?} names no policy");
        }
        if let Some(garden) = &session.terms.garden {
            reason += &format!("; only the walled garden of {garden} is open");
        }
        let apply = PolicyApply { session: session.snapshot(now.boot_ms), filter_id, reason };
        self.say(now, Event::PolicyApply(Box::new(apply)), effects);
    }
}

/// 255.255.255.255 and 255.255.255.254 leave the choice to others (RFC 2865 §5.8).
fn is_unicast(ip: Ipv4Addr) -> bool {
    u32::from(ip) < u32::MAX - 1
}

/// The User-Name by the configured template; the MAC where that comes to nothing, since RADIUS has no empty names. Parts cannot run into each other: `/` and `%` inside a part are escaped.
pub(crate) fn user_name(config: &BngConfig, key: &SessionKey) -> String {
    let part = |text: String| text.replace('%', "%25").replace('/', "%2F");
    let mut name = String::new();
    let mut rest = config.radius.user_name_template.as_str();
    while let Some(open) = rest.find('{') {
        let (before, from) = rest.split_at(open);
        name.push_str(before);
        rest = from;
        let Some(close) = from.find('}') else { break };
        match &from[1..close] {
            "nas" => name.push_str(&part(config.nas_identifier.clone())),
            "circuit" => name.push_str(&part(key.attachment.circuit_id.to_string())),
            "remote" => name.push_str(&part(key.attachment.remote_id.to_string())),
            "mac" => name.push_str(&key.mac.to_string()),
            _ => name.push_str(&from[..=close]),
        }
        rest = &from[close + 1..];
    }
    name.push_str(rest);
    if name.trim().is_empty() { key.mac.to_string() } else { shortened(name) }
}

/// A name that does not fit keeps its beginning and ends in a hash of the whole (FNV-1a, 64 bit).
fn shortened(name: String) -> String {
    if name.len() <= USER_NAME_MAX {
        return name;
    }
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let mut end = USER_NAME_MAX - 17;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}#{hash:016x}", &name[..end])
}
