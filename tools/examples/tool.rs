//! The tools alone, without the broker around them: `tool kafka-topics --list ...`. It builds in seconds.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args = std::env::args_os().skip(1);
    let mut args = args.map(|word| word.to_string_lossy().into_owned());
    let name = args.next().unwrap_or_default();
    let Some(tool) = tools::find(&name) else {
        let known: Vec<&str> = tools::names().collect();
        eprintln!("no tool is called '{name}'; there are {}", known.join(", "));
        return ExitCode::FAILURE;
    };
    tool(&args.collect::<Vec<_>>())
}
