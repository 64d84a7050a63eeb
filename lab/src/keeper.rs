//! The keeper: the process inside the lab's namespaces that brings everything up and then answers requests.
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::existing;
use crate::paths::Paths;
use crate::progress::Progress;
use crate::supervisor::control::{self, Action, Request};
use crate::supervisor::{Phase, UpOptions, set_phase};
use crate::topology::{Subscriber, Topology};
use crate::up::Lab;

/// Brings the lab up, then answers requests until it is killed. What runs inside ends with it: it takes nothing down.
pub fn run(paths: &Paths, topology: Topology, options: UpOptions) -> Result<ExitCode> {
    let progress = Progress::create(&paths.run.join("progress.log"))?;
    let mut lab = Lab::new(paths.clone(), topology, options);
    if let Err(error) = lab.up(&progress) {
        progress.step(format!("failed: {error:#}"));
        existing::leave(paths, &lab.topology);
        set_phase(paths, Phase::Failed)?;
        return Err(error);
    }
    set_phase(paths, Phase::Ready)?;
    control::serve(|request| handle(&mut lab, request))?;
    Ok(ExitCode::SUCCESS)
}

fn handle(lab: &mut Lab, request: Request) -> Result<String> {
    match request {
        Request::Status => Ok(lab.status()),
        Request::Subscriber { action, name } => {
            let subscriber = find(lab, &name)?;
            match action {
                Action::Start => lab.subscribers()?.start(&subscriber)?,
                Action::Stop => lab.subscribers()?.stop(&subscriber),
                Action::Release => lab.subscribers()?.release(&subscriber)?,
            }
            Ok(String::new())
        }
        Request::Service { action, name } => match action {
            Action::Start => lab.start_part(&name).map(|()| String::new()),
            Action::Stop => lab.stop_part(&name).map(|()| String::new()),
            Action::Release => bail!("a service has nothing to release"),
        },
    }
}

fn find(lab: &Lab, name: &str) -> Result<Subscriber> {
    let all = &lab.topology.subscribers;
    let names = || all.iter().map(|subscriber| subscriber.name.as_str()).collect::<Vec<_>>().join(", ");
    all.iter()
        .find(|subscriber| subscriber.name == name)
        .cloned()
        .with_context(|| format!("no subscriber {name}; there are {}", names()))
}
