//! Kea's control API: one small client for the commands that the gateway uses.
//!
//! Both forms are spoken: through the control agent (`"service": ["dhcp4"]`, Kea before 3.2) and to the server directly.

use std::{net::Ipv4Addr, time::Duration};

use lastmile_types::config::{Kea, KeaForm};
use serde_json::{Value, json};

/// A control API that does not answer for so long is as good as dead.
const PATIENCE: Duration = Duration::from_secs(3);
/// Kea's result: done.
const SUCCESS: u64 = 0;
/// Kea's result: done, and there is no such thing.
const EMPTY: u64 = 3;

/// Why Kea gave no answer that counts.
#[derive(Debug, thiserror::Error)]
pub enum KeaError {
    /// No HTTP answer.
    #[error("{url} does not answer")]
    Http {
        /// The endpoint.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The control agent answers, but the DHCP server behind it does not, or refuses the command.
    #[error("{command}: {text}")]
    Refused {
        /// What was asked.
        command: &'static str,
        /// Kea's words.
        text: String,
    },
}

/// Speaks to one Kea.
#[derive(Debug, Clone)]
pub struct KeaClient {
    http: reqwest::Client,
    url: String,
    form: KeaForm,
}

impl KeaClient {
    /// A client of this endpoint; nothing is sent yet.
    pub fn new(config: &Kea) -> Self {
        // Without TLS there is nothing in a builder that can fail.
        let http = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build().unwrap_or_default();
        Self { http, url: config.url.clone(), form: config.form }
    }

    /// Whether the DHCP server itself answers: an agent whose server is dead says so in its answer.
    pub async fn alive(&self) -> Result<(), KeaError> {
        self.command("status-get", Value::Null).await.map(drop)
    }

    /// The subnets that Kea serves, as it has them configured.
    pub async fn subnets(&self) -> Result<Vec<String>, KeaError> {
        let config = self.command("config-get", Value::Null).await?;
        let subnets = config["Dhcp4"]["subnet4"].as_array().cloned().unwrap_or_default();
        Ok(subnets.iter().filter_map(|subnet| subnet["subnet"].as_str().map(str::to_owned)).collect())
    }

    /// At most `limit` leases with addresses after `from`, in the order of their addresses.
    pub async fn leases(&self, from: Ipv4Addr, limit: usize) -> Result<Vec<Value>, KeaError> {
        let page = self.ask("lease4-get-page", json!({ "from": from, "limit": limit })).await?;
        Ok(page.and_then(|page| page["leases"].as_array().cloned()).unwrap_or_default())
    }

    /// The lease of an address. `None` only where Kea says that there is none.
    pub async fn lease(&self, ip: Ipv4Addr) -> Result<Option<Value>, KeaError> {
        self.ask("lease4-get", json!({ "ip-address": ip })).await
    }

    /// Forgets a lease; one that is not there is fine.
    pub async fn delete(&self, ip: Ipv4Addr) -> Result<(), KeaError> {
        self.ask("lease4-del", json!({ "ip-address": ip })).await.map(drop)
    }

    async fn command(&self, command: &'static str, arguments: Value) -> Result<Value, KeaError> {
        let empty = || KeaError::Refused { command, text: "nothing found".to_owned() };
        self.ask(command, arguments).await?.ok_or_else(empty)
    }

    async fn ask(&self, command: &'static str, arguments: Value) -> Result<Option<Value>, KeaError> {
        let request = request(self.form, command, arguments);
        let http = |source| KeaError::Http { url: self.url.clone(), source };
        let answer = self.http.post(&self.url).json(&request).send().await.map_err(http)?;
        let answer: Value = answer.error_for_status().map_err(http)?.json().await.map_err(http)?;
        outcome(command, &answer)
    }
}

fn request(form: KeaForm, command: &str, arguments: Value) -> Value {
    let mut request = json!({ "command": command });
    if form == KeaForm::ControlAgent {
        request["service"] = json!(["dhcp4"]);
    }
    if !arguments.is_null() {
        request["arguments"] = arguments;
    }
    request
}

/// The arguments of a successful answer; `None` = nothing was found. The agent wraps it into a list of one per service.
fn outcome(command: &'static str, answer: &Value) -> Result<Option<Value>, KeaError> {
    let answer = answer.get(0).unwrap_or(answer);
    if answer["result"] == SUCCESS {
        return Ok(Some(answer["arguments"].clone()));
    }
    if answer["result"] == EMPTY {
        return Ok(None);
    }
    let text = answer["text"].as_str().unwrap_or("an answer without result").to_owned();
    Err(KeaError::Refused { command, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_asked_and_understood() {
        assert_eq!(request(KeaForm::Direct, "status-get", Value::Null), json!({ "command": "status-get" }));
        let agent = request(KeaForm::ControlAgent, "lease4-get", json!({ "ip-address": "192.0.2.1" }));
        assert_eq!(agent["service"], json!(["dhcp4"]));
        assert_eq!(agent["arguments"]["ip-address"], "192.0.2.1");
        let direct = json!({ "result": 0, "arguments": { "pid": 7 } });
        assert_eq!(outcome("status-get", &direct).unwrap().unwrap()["pid"], 7);
        assert_eq!(outcome("status-get", &json!([direct])).unwrap().unwrap()["pid"], 7);
    }

    #[test]
    fn only_kea_itself_says_that_a_lease_is_gone() {
        let none = json!({ "result": 3, "text": "Lease not found." });
        assert_eq!(outcome("lease4-get", &none).unwrap(), None);
        assert_eq!(outcome("lease4-get", &json!([none])).unwrap(), None);
        for other in [json!({ "result": 1 }), json!({ "result": 2 }), json!({}), json!([]), json!(null), json!("no")] {
            assert!(outcome("lease4-get", &other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_dead_server_behind_a_living_agent_is_an_error() {
        let answer = json!([{ "result": 1, "text": "unable to forward command to the dhcp4 service" }]);
        let error = outcome("status-get", &answer).unwrap_err().to_string();
        assert!(error.contains("unable to forward"), "{error}");
    }
}
