//! The command line: commands of development here, all others are `keyfold`'s, with a way to
//! development roots.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use keyfold_attest::TrustRoot;
use keyfold_cli::{CliCode, CliError, Roots};

use crate::bench::{self, BenchCommand};
use crate::demo::{self, DemoArguments};
use crate::roles::{self, Role};
use crate::system::chain_of;

/// Largest root certificate, bytes.
const MAX_CERTIFICATE: u64 = 64 * 1024;

/// Runs Keyfold for development: with an attestation root of its own, on this machine.
///
/// Every other command is keyfold's (see keyfold --help), and here accepts development profiles.
#[derive(Debug, Parser)]
#[command(name = "keyfold-dev", version, propagate_version = true)]
struct Arguments {
    /// Print one JSON object as the last line of standard output; progress goes to standard error.
    #[arg(long, global = true)]
    json: bool,
    /// Used by keyfold's commands; these here have profiles of their own.
    #[arg(long, global = true, hide = true, value_name = "NAME|FILE")]
    profile: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything on loopback, do the whole job once, end.
    #[command(after_help = "\
Example:
  keyfold-dev demo --json | tail -n 1")]
    Demo(DemoArguments),
    /// Start everything on loopback, do the whole job once, stay up.
    #[command(after_help = "\
Example:
  keyfold-dev dev --data ./run")]
    Dev(DemoArguments),
    /// Measure.
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Run one role of the system.
    #[command(subcommand)]
    Role(Role),
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if !is_ours(&arguments) {
        return keyfold_cli::main(Roots::with_development(read_root));
    }
    let Arguments { json, command, .. } = match Arguments::try_parse_from(&arguments) {
        Ok(read) => read,
        Err(error) => return keyfold_cli::refuse_arguments(&error, &arguments),
    };
    let is_demo = matches!(command, Command::Demo(_) | Command::Dev(_));
    let outcome = match command {
        Command::Demo(arguments) => demo::demo(&arguments, json),
        Command::Dev(arguments) => demo::dev(&arguments, json),
        Command::Bench(command) => bench::run(&command, json),
        Command::Role(role) => roles::run(role),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A demo has told it already, beside its steps.
            if json && !is_demo {
                let _ = writeln!(std::io::stdout(), "{}", failed(error.as_ref()).to_json());
            }
            // Nobody is left to tell if standard error is gone.
            let _ = writeln!(std::io::stderr(), "error: {}", chain_of(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// The form in which scripts are told of a failure.
pub(crate) fn failed(error: &(dyn std::error::Error + 'static)) -> CliError {
    CliError::new(
        CliCode::DevelopmentFailed,
        chain_of(error),
        "Correct what it names, or look into the logs, and try again.",
    )
}

/// Tells whether the command is one of ours: the first argument that is no option, or help on all.
fn is_ours(arguments: &[OsString]) -> bool {
    let mut words = arguments.iter().skip(1).map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        match word.as_ref() {
            "demo" | "dev" | "bench" | "role" | "help" | "--help" | "-h" => return true,
            // Its value is no command.
            "--profile" => drop(words.next()),
            option if option.starts_with('-') => {}
            _ => return false,
        }
    }
    true
}

fn read_root(path: &Path) -> Result<TrustRoot, String> {
    use std::io::Read as _;
    let mut der = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_CERTIFICATE).read_to_end(&mut der))
        .map_err(|error| error.to_string())?;
    TrustRoot::from_der(&der).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn development_commands_are_ours_and_all_others_keyfolds() {
        let ours = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            is_ours(&words)
        };
        for line in [
            "x demo",
            "x --profile=p bench sign",
            "x --json demo",
            "x --profile p dev",
            "x",
            "x --help",
        ] {
            assert!(ours(line), "{line}");
        }
        for line in [
            "x wallet list",
            "x --json status",
            "x --profile dev send",
            "x sign-in --help",
        ] {
            assert!(!ours(line), "{line}");
        }
    }
}
