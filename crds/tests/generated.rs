//! The YAML in `generated/` is what the types say. `LASTMILE_UPDATE=1 cargo test -p lastmile-crds` writes it.

use std::{fs, path::Path};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

fn render(definition: &CustomResourceDefinition) -> String {
    let yaml = serde_yaml_ng::to_string(definition).expect("a definition is YAML");
    format!("# Generated from crds/src by `LASTMILE_UPDATE=1 cargo test -p lastmile-crds`. Do not edit.\n{yaml}")
}

fn keep_on_uninstall(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    // An uninstall of the chart must not delete every gateway with its kind.
    let annotations = definition.metadata.annotations.get_or_insert_default();
    annotations.insert("helm.sh/resource-policy".into(), "keep".into());
    definition
}

#[test]
fn generated_yaml_is_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("generated");
    for definition in lastmile_crds::definitions().into_iter().map(keep_on_uninstall) {
        let path = folder.join(format!("{}.yaml", definition.spec.names.plural));
        let fresh = render(&definition);
        if std::env::var_os("LASTMILE_UPDATE").is_some() {
            fs::write(&path, &fresh).expect("generated/ can be written");
        }
        let stored = fs::read_to_string(&path).unwrap_or_default();
        assert!(stored == fresh, "{} is stale: run LASTMILE_UPDATE=1 cargo test -p lastmile-crds", path.display());
    }
}

/// Walks the schema: every property has a description, every string and list in the spec a bound.
#[test]
fn every_field_is_explained_and_bounded() {
    for definition in lastmile_crds::definitions() {
        let json = serde_json::to_value(&definition.spec.versions[0].schema).unwrap();
        let root = &json["openAPIV3Schema"]["properties"];
        let mut problems = Vec::new();
        walk("spec", &root["spec"], true, &mut problems);
        walk("status", &root["status"], false, &mut problems);
        assert!(problems.is_empty(), "{}: {problems:#?}", definition.spec.names.kind);
    }
}

fn walk(path: &str, schema: &serde_json::Value, bounded: bool, problems: &mut Vec<String>) {
    if schema["type"] == "string" && bounded && schema["enum"].is_null() && schema["maxLength"].is_null() {
        problems.push(format!("{path} has no maxLength"));
    }
    if schema["type"] == "array" {
        if schema["maxItems"].is_null() {
            problems.push(format!("{path} has no maxItems"));
        }
        walk(&format!("{path}[]"), &schema["items"], bounded, problems);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if property["description"].is_null() {
            problems.push(format!("{path} has no description"));
        }
        walk(&path, property, bounded, problems);
    }
}
