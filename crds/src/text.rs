//! Text with a meaning that the API server checks by CEL.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// An IPv4 address as text, like `10.231.1.2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ipv4(pub String);

/// An IPv4 network as text, like `100.64.1.0/24`; no bits set behind the prefix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Prefix(pub String);

impl JsonSchema for Ipv4 {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Ipv4".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 15,
            "x-kubernetes-validations": [{
                "rule": "isIP(self) && ip(self).family() == 4",
                "message": "must be an IPv4 address, like 10.0.0.1"
            }]
        })
    }
}

impl JsonSchema for Prefix {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Prefix".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 18,
            "x-kubernetes-validations": [{
                "rule": "isCIDR(self) && cidr(self).ip().family() == 4 && cidr(self) == cidr(self).masked()",
                "message": "must be an IPv4 network, like 100.64.1.0/24, without bits set behind the prefix length"
            }]
        })
    }
}
