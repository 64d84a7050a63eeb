//! `lastmile-api`: see the library.

use std::{io::IsTerminal, process::ExitCode};

use clap::Parser;
use lastmile_api::{rest, serve};
use tracing_subscriber::EnvFilter;

/// Lastmile's API server.
#[derive(Parser)]
#[command(version)]
enum Command {
    /// Serve the REST API, the dashboard and the aggregated sessions API.
    Run(Box<serve::Settings>),
    /// Print the OpenAPI document of the REST API.
    Openapi,
}

#[tokio::main]
async fn main() -> ExitCode {
    let settings = match Command::parse() {
        Command::Openapi => {
            print!("{}", rest::document());
            return ExitCode::SUCCESS;
        }
        Command::Run(settings) => settings,
    };
    let filter = EnvFilter::try_from_env("LASTMILE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi).init();
    match serve::run(*settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                text.push_str(&format!(": {cause}"));
                source = cause.source();
            }
            tracing::error!("{text}");
            ExitCode::FAILURE
        }
    }
}
