//! `lastmile-operator`: makes gateways of BNG objects.
//!
//! It watches the custom resources, renders each gateway's configuration and pod, asks the gateways how they are, and
//! writes it into their status. It never touches a packet, a lease or a session that a gateway has: with the operator down
//! every gateway goes on.
//!
//! Tasks: one leader (a Lease), then the certificate authority, the controllers of BNG, AccessRouter and SubscriberPolicy,
//! one poller per gateway, the mirror of the custom resources in PostgreSQL, and the audit of sessions whose gateway is gone.
//! PostgreSQL down stops only the mirror, the audit and what is read from it.

mod audit;
mod ca;
mod context;
mod controllers;
mod database;
mod endpoint;
mod leader;
mod metrics;
mod mirror;
mod observe;
mod render;
mod settings;

use std::{io::IsTerminal, process::ExitCode, sync::Arc};

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::{context::Context, settings::Settings};

/// Lastmile's operator.
#[derive(Parser)]
#[command(version)]
enum Command {
    /// Run the controllers.
    Run(Settings),
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_env("LASTMILE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    // Fails only when a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Command::Run(settings) = Command::parse();
    match run(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", Chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run(settings: Settings) -> Result<(), Box<dyn std::error::Error>> {
    let client = kube::Client::try_default().await?;
    let context = Arc::new(Context::new(client, settings));
    tokio::spawn(metrics::serve(context.settings.metrics_listen, context.metrics.clone()));
    let mut lease = leader::acquire(&context).await;
    context.metrics.leader.set(1);
    tracing::info!(identity = context.settings.identity, "leading");
    tokio::select! {
        () = lease.held() => Err("the lease was lost to another operator".into()),
        () = work(context.clone()) => Err("a controller ended".into()),
        () = stop_signal() => {
            lease.release().await;
            tracing::info!("stopped");
            Ok(())
        }
    }
}

/// Ends when any of the tasks ends.
async fn work(context: Arc<Context>) {
    tokio::join!(
        ca::run(context.clone()),
        controllers::bng::run(context.clone()),
        controllers::policy::run(context.clone()),
        controllers::accessrouter::run(context.clone()),
        mirror::run(context.clone()),
        audit::run(context),
    );
}

async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () }
}

/// An error with everything that led to it, on one line.
pub struct Chain<'a>(pub &'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = self.0.to_string();
        let mut error = self.0.source();
        while let Some(source) = error {
            let next = source.to_string();
            // Many libraries repeat their source in their own text.
            if !text.contains(&next) {
                text = format!("{text}: {next}");
            }
            error = source.source();
        }
        f.write_str(&text)
    }
}
