//! `lab services -- COMMAND`: private services on loopback in namespaces of their own, for the length of a command.
//! Nothing touches the machine's disk or network, so any number of them run side by side.
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus};
use std::time::Instant;

use anyhow::{Context, Result};
use nix::sched::CloneFlags;

use super::{ServicesSpec, kea, postgres, radius, redis};
use crate::isolation;
use crate::process::run;
use crate::secrets::Secrets;
use crate::topology::Topology;

/// The verb that the program calls itself with.
pub const INSIDE: &str = "services-inside";

/// Runs `command` beside fresh services and ends with its exit code.
pub fn outside(command: &[String]) -> Result<ExitCode> {
    // Only the mount point is on the machine; what is mounted there goes with the mount namespace.
    let folder = format!("/run/lastmile-services-{}", std::process::id());
    let mut arguments = vec![INSIDE, folder.as_str(), "--"];
    arguments.extend(command.iter().map(String::as_str));
    let status = isolation::spawn(&arguments, CloneFlags::CLONE_NEWNET)?.wait()?;
    let _ = std::fs::remove_dir(&folder);
    Ok(exit_code(status))
}

/// The half inside the namespaces.
pub fn inside(topology: &Topology, folder: &str, command: &[String]) -> Result<ExitCode> {
    let started = Instant::now();
    isolation::enter()?;
    let home = std::env::current_dir().context("the current folder is gone")?;
    isolation::mount_tmpfs(folder)?;
    run(Command::new("ip").args(["link", "set", "lo", "up"]))?;
    let dir = PathBuf::from(folder);
    let spec = ServicesSpec::for_tests(topology, dir.clone(), Secrets::generate(&dir.join("secrets"))?);
    let mut services = super::start(&spec)?;
    eprintln!(
        "services are up after {:.1} s; logs in {} of their mount namespace",
        started.elapsed().as_secs_f32(),
        spec.place.logs.display()
    );
    let status = match command {
        [] => anyhow::bail!("name a command: lab services -- COMMAND"),
        [program, arguments @ ..] => Command::new(program)
            .args(arguments)
            .current_dir(home)
            .envs(environment(&spec))
            .status()
            .with_context(|| format!("cannot run {program}"))?,
    };
    services.stop();
    Ok(exit_code(status))
}

/// The environment that integration tests read.
pub fn environment(spec: &ServicesSpec) -> Vec<(&'static str, String)> {
    let (ip, secrets) = (spec.listen, &spec.secrets);
    let user = spec.users.iter().find(|user| user.filter_id == "gold").or(spec.users.first());
    vec![
        (
            "LASTMILE_TEST_POSTGRES",
            format!("postgres://postgres:{}@{ip}:{}/postgres", secrets.postgres, postgres::PORT),
        ),
        ("LASTMILE_TEST_REDIS", format!("redis://:{}@{ip}:{}", secrets.redis, redis::PORT)),
        ("LASTMILE_TEST_RADIUS", format!("{ip}:{}", radius::AUTH_PORT)),
        ("LASTMILE_TEST_RADIUS_ACCT", format!("{ip}:{}", radius::ACCT_PORT)),
        ("LASTMILE_TEST_RADIUS_SECRET", secrets.radius.clone()),
        ("LASTMILE_TEST_RADIUS_USER", user.map(|user| user.name.clone()).unwrap_or_default()),
        ("LASTMILE_TEST_RADIUS_PASSWORD", secrets.subscriber.clone()),
        ("LASTMILE_TEST_KEA", format!("http://{ip}:{}", kea::AGENT_PORT)),
        ("LASTMILE_TEST_SERVICES_DIR", spec.dir.display().to_string()),
    ]
}

fn exit_code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
