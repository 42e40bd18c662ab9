//! Makes an enclave image of a kernel and two programs, and measures images.
//!
//! # What this crate may touch
//!
//! The files that its arguments name, standard output and error. No clock, no environment: the same
//! files give the same image.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod build;

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use keyfold_attest::Measurements;
use keyfold_eif::Image;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Makes and measures enclave images.
#[derive(Debug, Parser)]
#[command(
    name = "keyfold-image",
    version,
    after_help = "\
Examples:
  Measure an image that somebody gave you, as holders' measurements.json has it:
    keyfold-image measure keyfold.eif
  Make one of its parts (what `make enclave` does):
    keyfold-image build --kernel bzImage --kernel-version 6.12 --command-line cmdline \\
        --init keyfold-enclave-init --service keyfold-enclave --out keyfold.eif"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an image, and print its measurements.
    Build(Build),
    /// Print an image's measurements, and change nothing.
    Measure {
        /// The image.
        image: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Build {
    /// The kernel, a bzImage.
    #[arg(long)]
    kernel: PathBuf,
    /// What the image says its kernel is. Not measured.
    #[arg(long)]
    kernel_version: String,
    /// File with the kernel's command line; white space at its end does not count.
    #[arg(long)]
    command_line: PathBuf,
    /// The first program, static.
    #[arg(long)]
    init: PathBuf,
    /// The application, static.
    #[arg(long)]
    service: PathBuf,
    /// Where the image goes.
    #[arg(long)]
    out: PathBuf,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if standard error is gone.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Outcome<()> {
    let measured = match command {
        Command::Build(arguments) => {
            let image = build::image(&build::Parts {
                kernel: read(&arguments.kernel)?,
                kernel_version: arguments.kernel_version,
                command_line: read(&arguments.command_line)?,
                init: read(&arguments.init)?,
                service: read(&arguments.service)?,
            })?;
            std::fs::write(&arguments.out, image.to_bytes()?)
                .map_err(|error| format!("cannot write {}: {error}", arguments.out.display()))?;
            image.measure()
        }
        Command::Measure { image } => Image::parse(&read(&image)?)?.measure(),
    };
    print(&measured)
}

fn read(path: &Path) -> Outcome<Vec<u8>> {
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()).into())
}

fn print(measured: &Measurements) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, measured)?;
    Ok(writeln!(out)?)
}
