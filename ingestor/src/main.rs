//! `lastmile-ingestor`: see the crate's documentation.

use std::{error::Error, io::IsTerminal, process::ExitCode, time::Duration};

use clap::Parser;
use lastmile_ingestor::{
    config::{Cli, DatabaseArgs, RunArgs, Verb},
    consume::{Consumer, Settings},
    decode::chain,
    http,
    metrics::Metrics,
    migrate, rebuild,
};
use sqlx::PgPool;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_env("LASTMILE_LOG").unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match run(Cli::parse().verb).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lastmile-ingestor: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run(verb: Verb) -> Result<(), Box<dyn Error>> {
    match verb {
        Verb::Run(args) => consume(args).await,
        Verb::Migrate(args) => Ok(migrate::migrate(&database(&args.database)?, args.wait()).await?),
        Verb::Rebuild(args) => {
            let events = rebuild::rebuild(&database(&args)?).await?;
            println!("projections made anew from {events} events");
            Ok(())
        }
    }
}

fn database(args: &DatabaseArgs) -> Result<PgPool, Box<dyn Error>> {
    Ok(migrate::pool(&args.url()?, 4)?)
}

async fn consume(args: RunArgs) -> Result<(), Box<dyn Error>> {
    let settings = Settings {
        redis_url: args.redis_url()?,
        consumer: args.consumer()?,
        batch: args.batch,
        claim_after: args.claim_after(),
    };
    let (metrics, stop) = (Metrics::default(), CancellationToken::new());
    let consumer = Consumer { settings, pool: database(&args.database)?, metrics: metrics.clone(), stop: stop.clone() };
    let listener = TcpListener::bind(args.listen).await.map_err(|error| format!("{}: {error}", args.listen))?;
    let server = tokio::spawn(http::serve(listener, metrics, stop.clone()));
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        stop.cancel();
    });
    consumer.run().await;
    // A scrape under way may finish; a reader that holds its connection open may not hold the process.
    let _ = tokio::time::timeout(Duration::from_secs(2), server).await;
    Ok(())
}
