//! PostgreSQL: one server, three databases (`lastmile`, `kea`, `radius`), each with an owner of its own.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{ServicesSpec, databases, find_program, give_to_postgres};
use crate::process::{Part, run, run_with_input};
use crate::secrets::write_private;

/// PostgreSQL's port.
pub const PORT: u16 = 5432;

/// Who may log in from where: passwords everywhere, no trust.
pub fn hba(spec: &ServicesSpec) -> String {
    let mut text = String::from("local all all scram-sha-256\n");
    let own = ipnet::Ipv4Net::from(spec.listen);
    for network in std::iter::once(&own).chain(&spec.clients) {
        text.push_str(&format!("host all all {network} scram-sha-256\n"));
    }
    text
}

/// Settings beyond the defaults.
pub fn settings(spec: &ServicesSpec, data: &Path) -> String {
    let durable = if spec.durable { "on" } else { "off" };
    format!(
        "listen_addresses = '{}'\nport = {PORT}\nunix_socket_directories = '{}'\nmax_connections = 200\n\
         shared_buffers = 64MB\nfsync = {durable}\nsynchronous_commit = {durable}\nfull_page_writes = {durable}\n\
         timezone = 'UTC'\nlog_timezone = 'UTC'\n",
        spec.listen,
        data.display(),
    )
}

/// Roles and databases, as one script.
pub fn roles(spec: &ServicesSpec) -> String {
    databases(&spec.secrets)
        .iter()
        .map(|(name, password)| {
            format!("CREATE ROLE {name} LOGIN PASSWORD '{password}';\nCREATE DATABASE {name} OWNER {name};\n")
        })
        .collect()
}

/// Makes the cluster, starts the server, makes roles and databases. The second half of the answer says whether all of
/// it worked; the server is the caller's to stop either way.
pub fn start(spec: &ServicesSpec) -> Result<(Part, Result<()>)> {
    let bin = bin_dir()?;
    let data = spec.dir.join("postgres");
    fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
    give_to_postgres(&data)?;
    let password = spec.dir.join("postgres.pw");
    write_private(&password, &spec.secrets.postgres)?;
    give_to_postgres(&password)?;
    let mut initdb = as_postgres(Command::new("setpriv"), bin.join("initdb"));
    initdb
        .args(["--no-sync", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--username=postgres"])
        .arg("--pwfile")
        .arg(&password)
        .arg("-D")
        .arg(&data);
    run(initdb.current_dir("/"))?;
    append(&data.join("postgresql.conf"), &settings(spec, &data))?;
    fs::write(data.join("pg_hba.conf"), hba(spec))?;
    let mut part = restart(spec)?;
    let ready = part
        .wait_until_it_says(Duration::from_secs(20), "database system is ready to accept connections")
        .and_then(|()| psql(spec, "postgres", "postgres", &spec.secrets.postgres, &roles(spec)));
    Ok((part, ready))
}

/// Starts the server on its data.
pub fn restart(spec: &ServicesSpec) -> Result<Part> {
    let mut server = as_postgres(spec.place.command("setpriv"), bin_dir()?.join("postgres"));
    spec.place.start("postgres", server.arg("-D").arg(spec.dir.join("postgres")).current_dir("/"))
}

/// Runs a script in a database.
pub fn psql(spec: &ServicesSpec, database: &str, role: &str, password: &str, script: &str) -> Result<()> {
    let mut command = spec.place.command(find_program("psql")?);
    command
        .env("PGPASSWORD", password)
        .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction"])
        .args(["--host", &spec.listen.to_string(), "--username", role, "--dbname", database, "--file=-"]);
    if database == "postgres" {
        // CREATE DATABASE runs in no transaction.
        command.arg("--no-align");
        return run_with_input(&mut without_transaction(&command), script).map(drop);
    }
    run_with_input(&mut command, script).map(drop)
}

fn without_transaction(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args().filter(|arg| *arg != "--single-transaction"));
    copy.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    copy
}

/// As the user `postgres`: PostgreSQL refuses root. `setpriv` becomes the program, so signals reach it.
fn as_postgres(mut setpriv: Command, program: PathBuf) -> Command {
    setpriv.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]).arg(program);
    setpriv
}

fn append(path: &Path, text: &str) -> Result<()> {
    let old = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    fs::write(path, old + text).with_context(|| format!("cannot write {}", path.display()))
}

/// The newest version's programs, which Debian keeps out of PATH.
fn bin_dir() -> Result<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin): &(u32, PathBuf)| bin.join("postgres").is_file())
        .collect();
    found.sort();
    found.pop().map(|(_, bin)| bin).context("PostgreSQL is not installed: `make setup` installs it")
}
