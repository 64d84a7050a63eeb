//! Lastmile's custom resources, group `lastmile.io`, version `v1alpha1`: one file per kind.
//!
//! The YAML in `generated/` is made from these types and is what the Helm chart installs; a test fails when it is stale.
//! Values that Kubernetes cannot check by type (addresses, prefixes) stay text here and are parsed by the operator, so that
//! one odd object never stops the listing of the others.

#![allow(clippy::duplicated_attributes, reason = "each printer column has a type and a description of its own")]

mod accessrouter;
mod bng;
mod policy;
mod rates;
mod text;

pub use accessrouter::{AccessRouter, AccessRouterSpec, AccessRouterStatus, ObjectName};
pub use bng::{
    AccessMode, Accounting, Amounts, Attachment, BNG, BngSpec, BngStatus, COA_PORT, Coa, CoaClient, Dhcp, EventBus,
    Kea, KeaForm, Network, NetworkMode, Placement, Pool, Radius, RadiusServer, Resources, Routers, SecretKey,
    SessionCounts, Shaping, Shedding, Trust, TrustMode,
};
pub use policy::{
    Access, Enforcement, OnReject, Portal, Rates, Selector, SubscriberPolicy, SubscriberPolicySpec,
    SubscriberPolicyStatus, WalledGarden,
};
pub use rates::{RateAttribute, RateMeaning};
pub use text::{Ipv4, Prefix};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// The API group.
pub const GROUP: &str = "lastmile.io";

/// Every kind's definition, as it is installed.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    vec![BNG::crd(), AccessRouter::crd(), SubscriberPolicy::crd()]
}
