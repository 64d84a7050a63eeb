//! The chart as helm renders it, and the values that it refuses.
//!
//! `INSTA_UPDATE=always cargo test -p lastmile-operator --features integration --test chart` writes the golden anew.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Helm is part of the embedded Kubernetes' one binary.
fn template(arguments: &[&str]) -> Output {
    let program = folder().join("target/lab/lab-kube");
    Command::new(&program)
        .args(["helm", "template", "lastmile"])
        .arg(folder().join("charts/lastmile"))
        .args(["--namespace", "lastmile-system"])
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{} does not run ({error}): `make build` makes it", program.display()))
}

fn rendered(arguments: &[&str]) -> String {
    let output = template(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("YAML is text")
}

/// Without the definitions, which have a golden of their own.
fn without_definitions(yaml: &str) -> String {
    let documents = yaml.split("\n---\n").filter(|document| !document.contains("kind: CustomResourceDefinition"));
    documents.collect::<Vec<_>>().join("\n---\n")
}

#[test]
fn defaults() {
    let yaml = rendered(&[]);
    assert_eq!(yaml.matches("kind: CustomResourceDefinition").count(), 3);
    assert_eq!(yaml.matches("helm.sh/resource-policy: keep").count(), 3, "an uninstall must keep the definitions");
    assert!(
        !yaml.lines().any(|line| line.trim_start().starts_with("caBundle:")),
        "the operator keeps it, an upgrade must not take it away"
    );
    insta::assert_snapshot!(without_definitions(&yaml));
}

#[test]
fn values_reach_their_places() {
    let yaml = rendered(&[
        "--set=image.bng=registry.example/bng:7,image.pullPolicy=Never,api.nodePort=30080,database.secretName=pg",
        "--set-json=protectedNetworks=[\"10.0.0.0/8\",\"172.16.0.0/12\"]",
    ]);
    for wanted in ["registry.example/bng:7", "nodePort: 30080", "secretName: pg", "10.0.0.0/8,172.16.0.0/12"] {
        assert!(yaml.contains(wanted), "no {wanted}");
    }
}

#[test]
fn secrets_are_read_in_the_named_namespaces_only() {
    let narrow = rendered(&["--set-json=secretNamespaces=[\"edge\",\"lastmile-system\"]"]);
    let reading = |yaml: &str, kind: &str| {
        let of_kind = |document: &&str| document.lines().any(|line| line == format!("kind: {kind}"));
        yaml.split("\n---\n").filter(of_kind).filter(|document| document.contains("[secrets]")).count()
    };
    assert_eq!((reading(&narrow, "ClusterRole"), reading(&narrow, "Role")), (0, 2));
    assert_eq!(narrow.matches("name: lastmile-operator-secrets }").count(), 2, "a binding for each");
    assert!(narrow.contains(r#"LASTMILE_SECRET_NAMESPACES, value: "edge,lastmile-system""#));
    let wide = rendered(&[]);
    assert_eq!((reading(&wide, "ClusterRole"), reading(&wide, "Role")), (1, 0));
}

#[test]
fn unknown_and_impossible_values_are_refused() {
    for wrong in [
        "--set=image.bgn=typo",
        "--set=image.pullPolicy=Sometimes",
        "--set=api.nodePort=70000",
        "--set=ingestor.replicas=0",
        "--set-json=protectedNetworks=[\"everything\"]",
        "--set-json=secretNamespaces=[\"Not_a_name\"]",
        "--set=operater.resources=null",
    ] {
        assert!(!template(&[wrong]).status.success(), "{wrong} was accepted");
    }
}
