//! The `klamm` program: one binary under many names.
//!
//! Called by the name of one of upstream's tools (`kafka-topics`, with or without `.sh`), or with that
//! name as its first argument, it is that tool.

mod commands;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};

/// A Kafka broker that stock clients use unchanged.
#[derive(Parser)]
#[command(name = "klamm", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs one node: broker and controller.
    Server(commands::server::Server),
    /// What the scripts of the container image call.
    #[command(hide = true)]
    Image(commands::image::Image),
    /// Prints the names of upstream's tools that this program answers to, one per line.
    Tools,
}

fn main() -> ExitCode {
    let started = Instant::now();
    if let Some(code) = run_tool() {
        return code;
    }
    let done = match Cli::parse().command {
        Command::Server(server) => commands::server::run(server, started),
        Command::Image(image) => commands::image::run(image),
        Command::Tools => {
            println!("{}", commands::names().join("\n"));
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("klamm: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the tool that the program's own name or its first argument asks for.
fn run_tool() -> Option<ExitCode> {
    let mut args = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned());
    let program = args.next()?;
    let mut args: Vec<String> = args.collect();
    let called = Path::new(&program).file_name()?.to_string_lossy();
    if let Some(tool) = commands::find(&called) {
        return Some(tool(&args));
    }
    let tool = commands::find(args.first()?)?;
    args.remove(0);
    Some(tool(&args))
}
