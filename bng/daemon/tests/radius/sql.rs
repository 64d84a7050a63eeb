//! What others wrote into their databases, by psql.

use std::process::Command;

use super::env;

/// The fields of the one row that a query of FreeRADIUS's database gives.
pub fn row(query: &str) -> Vec<String> {
    row_of("radius", query)
}

/// The fields of the one row that a query of this database gives.
pub fn row_of(database: &str, query: &str) -> Vec<String> {
    let text = psql(database, query);
    assert_eq!(text.lines().count(), 1, "{query}: {text:?}");
    text.trim_end_matches('\n').split('\t').map(str::to_owned).collect()
}

/// The URL of a database.
pub fn url(database: &str) -> String {
    let url = env("LASTMILE_TEST_POSTGRES");
    let (server, _) = url.rsplit_once('/').expect("a URL with a database");
    format!("{server}/{database}")
}

/// What a command gives.
pub fn psql(database: &str, query: &str) -> String {
    let output = Command::new("psql")
        .args(["--no-psqlrc", "--tuples-only", "--no-align", "--field-separator=\t", "--command", query])
        .arg(url(database))
        .output()
        .expect("psql is installed: `make setup` installs it");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    text
}
