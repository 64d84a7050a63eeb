//! Kubeconfig files: how a client finds the API server and proves who it is.

use std::path::Path;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::pki::{self, Credential};

/// Renders a kubeconfig with everything embedded, so that the file alone is enough. It is JSON,
/// which every reader of YAML reads.
pub fn render(server: &str, authority: &str, user: &str, credential: &Credential) -> String {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "lastmile-lab",
            "cluster": {
                "server": server,
                "certificate-authority-data": STANDARD.encode(authority),
            },
        }],
        "users": [{
            "name": user,
            "user": {
                "client-certificate-data": STANDARD.encode(&credential.certificate),
                "client-key-data": STANDARD.encode(&credential.key),
            },
        }],
        "contexts": [{
            "name": "lastmile-lab",
            "context": { "cluster": "lastmile-lab", "user": user },
        }],
        "current-context": "lastmile-lab",
    });
    format!("{config:#}\n")
}

/// Writes a kubeconfig that only its owner can read.
pub fn write(path: &Path, server: &str, authority: &str, user: &str, credential: &Credential) -> Result<()> {
    pki::write_private(path, &render(server, authority, user, credential))
}
