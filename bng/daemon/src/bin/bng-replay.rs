//! `bng-replay FILE`: what a recorded gateway did and why, on any machine, as often as needed.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::Parser;
use lastmile_bng::{
    chain,
    replay::{Error, Form, Summary, replay},
};

/// Replays a recording (`lastmile-bng run --record FILE`) to a fresh session machine and prints what it does. Ends with exit code 1
/// when the recording cannot be read or the machine's own bookkeeping turns out wrong.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The recording.
    file: PathBuf,
    /// Print the effects as JSON lines.
    #[arg(long)]
    json: bool,
    /// Print the summary only.
    #[arg(long, short, conflicts_with = "json")]
    quiet: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(summary) => {
            eprintln!("{summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bng-replay: {}: {}", arguments.file.display(), chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<Summary, Error> {
    let form = match (arguments.json, arguments.quiet) {
        (true, _) => Form::Json,
        (_, true) => Form::Summary,
        _ => Form::Text,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let summary = replay(BufReader::new(File::open(&arguments.file)?), form, &mut out);
    out.flush()?;
    summary
}
