//! Putting Lastmile into the cluster: its images, its chart, its objects.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{ClusterContext, pki};
use crate::images::{self, Image, Source};
use crate::paths::Paths;
use crate::process::run;

/// The release's name.
const RELEASE: &str = "lastmile";
/// The namespace that it is installed into.
const NAMESPACE: &str = "lastmile-system";
/// How long the release may take to become ready.
const TIMEOUT: &str = "180s";
/// Where the api image holds the dashboard.
const WEB_FOLDER: &str = "/usr/share/lastmile/web";

/// The images of Lastmile's own programs.
#[derive(Clone, Debug)]
pub struct ProductImages {
    bng: Image,
    operator: Image,
    ingestor: Image,
    api: Image,
}

impl ProductImages {
    /// Builds them from the programs under test and the built dashboard.
    pub fn build(paths: &Paths, context: &ClusterContext) -> Result<Self> {
        let source = |part: &str| -> Result<Source> {
            Ok(Source::program(&format!("lastmile/{part}"), &paths.program(&format!("lastmile-{part}"))?))
        };
        let build = |source: Source| images::build(&source, &context.image_cache);
        let api = source("api")?.with_folder(&paths.root.join("web/out"), WEB_FOLDER);
        Ok(ProductImages {
            bng: build(source("bng")?)?,
            operator: build(source("operator")?)?,
            ingestor: build(source("ingestor")?)?,
            api: build(api)?,
        })
    }

    /// Imports them into every node.
    pub fn import(&self, context: &ClusterContext) -> Result<()> {
        super::import_images(context, &[&self.bng, &self.operator, &self.ingestor, &self.api].map(Image::clone))
    }

    /// The chart's `image` values.
    pub fn values(&self) -> Value {
        json!({
            "bng": self.bng.reference,
            "operator": self.operator.reference,
            "ingestor": self.ingestor.reference,
            "api": self.api.reference,
            "pullPolicy": "Never",
        })
    }
}

/// Installs the chart, or upgrades what is installed, and waits until it is ready. The values may hold passwords:
/// they travel by a file that only root reads.
pub fn install(context: &ClusterContext, chart: &Path, values: &Value) -> Result<()> {
    let file = context.run.join("values.json");
    pki::write_private(&file, &format!("{values:#}\n"))?;
    let mut helm = context.helm();
    helm.args(["upgrade", "--install", RELEASE]).arg(chart);
    helm.args(["--namespace", NAMESPACE, "--create-namespace", "--wait", "--timeout", TIMEOUT, "--values"]).arg(&file);
    run(&mut helm).with_context(|| format!("install {}\n{}", chart.display(), pods(context)))?;
    Ok(())
}

/// Applies a file or a folder of objects.
pub fn apply(context: &ClusterContext, path: &Path) -> Result<String> {
    run(context.kubectl().args(["apply", "--filename"]).arg(path))
}

/// What the cluster says of Lastmile's pods, for whoever wonders why an installation failed.
fn pods(context: &ClusterContext) -> String {
    let show = |arguments: &[&str]| run(context.kubectl().args(["-n", NAMESPACE]).args(arguments)).unwrap_or_default();
    let pods = show(&["get", "pods", "-o", "wide"]);
    let events = show(&["get", "events", "--field-selector", "type=Warning", "--sort-by", ".lastTimestamp"]);
    let logs = show(&[
        "logs",
        "--selector",
        "app.kubernetes.io/name=lastmile",
        "--tail",
        "10",
        "--all-containers",
        "--prefix",
    ]);
    [pods, events, logs].join("\n")
}
