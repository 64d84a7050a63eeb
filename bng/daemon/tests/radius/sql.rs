//! What FreeRADIUS wrote into its database, by psql.

use std::process::Command;

use super::env;

/// The fields of the one row that a query gives.
pub fn row(query: &str) -> Vec<String> {
    let url = env("LASTMILE_TEST_POSTGRES");
    let (server, _) = url.rsplit_once('/').expect("a URL with a database");
    let output = Command::new("psql")
        .args(["--no-psqlrc", "--tuples-only", "--no-align", "--field-separator=\t", "--command", query])
        .arg(format!("{server}/radius"))
        .output()
        .expect("psql is installed: `make setup` installs it");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.lines().count(), 1, "{query}: {text:?}");
    text.trim_end_matches('\n').split('\t').map(str::to_owned).collect()
}
