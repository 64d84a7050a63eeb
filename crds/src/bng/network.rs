//! Where a gateway runs, and how it reaches the wires.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which node a gateway runs on. It stays on the node that it was placed on as long as that node fits.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.nodeName) != has(self.nodeSelector)").message("say where the gateway runs: give either nodeName or nodeSelector")
)]
pub struct Placement {
    /// The node's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub node_name: Option<String>,
    /// Labels that the node must have, like `lastmile.io/bng: bng-01`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 16, "minProperties" = 1))]
    pub node_selector: Option<BTreeMap<String, String>>,
}

/// A gateway's sides. With mode HostNetwork each names an interface of the node, with mode Multus a
/// NetworkAttachmentDefinition.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.mode != 'HostNetwork' || (has(self.subscriber.interface) && has(self.uplink.interface) && has(self.dhcp.interface))")
        .message("with mode HostNetwork name the node's interface for each side: subscriber.interface, uplink.interface, dhcp.interface"),
    validation = Rule::new("self.mode != 'Multus' || (has(self.subscriber.networkAttachment) && has(self.uplink.networkAttachment) && has(self.dhcp.networkAttachment))")
        .message("with mode Multus name a NetworkAttachmentDefinition for each side: subscriber.networkAttachment, uplink.networkAttachment, dhcp.networkAttachment"),
    validation = Rule::new("!has(self.subscriber.interface) || ((!has(self.uplink.interface) || self.subscriber.interface != self.uplink.interface) && (!has(self.dhcp.interface) || self.subscriber.interface != self.dhcp.interface))")
        .message("subscribers need an interface of their own: subscriber.interface must differ from uplink.interface and dhcp.interface")
)]
pub struct Network {
    /// HostNetwork (the node's own interfaces) or Multus (attachments of the pod; rendered by a later version).
    #[serde(default)]
    pub mode: NetworkMode,
    /// Towards the subscribers or their access routers. An interface that carries the node's own address is refused.
    pub subscriber: Attachment,
    /// Towards the internet.
    pub uplink: Attachment,
    /// Towards the DHCP servers. May be the uplink's.
    pub dhcp: Attachment,
}

/// How the gateway's pod reaches the wires.
#[derive(JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkMode {
    /// The pod stands in the node's network.
    #[default]
    HostNetwork,
    /// The pod has its own network, with attachments.
    Multus,
}

/// One side of the gateway.
#[derive(JsonSchema, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// The name of the node's interface (mode HostNetwork).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15), regex(pattern = r"^[^/\s:]+$"))]
    pub interface: Option<String>,
    /// The name of a NetworkAttachmentDefinition in the same namespace (mode Multus).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub network_attachment: Option<String>,
}
