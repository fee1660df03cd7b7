//! The tools alone, without the broker around them: `tool kafka-topics --list ...`, or a link to it that is
//! named `kafka-topics`. It builds in seconds.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = std::env::args_os();
    let mut args = args.map(|word| word.to_string_lossy().into_owned());
    let program = args.next().unwrap_or_default();
    let program = Path::new(&program).file_name().unwrap_or_default();
    if let Some(tool) = tools::find(&program.to_string_lossy()) {
        return tool(&args.collect::<Vec<_>>());
    }
    let name = args.next().unwrap_or_default();
    let Some(tool) = tools::find(&name) else {
        let known: Vec<&str> = tools::names().collect();
        eprintln!("no tool is called '{name}'; there are {}", known.join(", "));
        return ExitCode::FAILURE;
    };
    tool(&args.collect::<Vec<_>>())
}
