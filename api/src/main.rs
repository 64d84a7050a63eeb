//! `lastmile-api`: see the library.

use clap::Parser;

/// Lastmile's API server.
#[derive(Parser)]
#[command(version)]
enum Command {
    /// Print the OpenAPI document of the REST API.
    Openapi,
}

fn main() {
    match Command::parse() {
        Command::Openapi => print!("{}", lastmile_api::rest::document()),
    }
}
