//! What `keyfold` itself does not do: it executes `keyfold-dev`, which is in no release.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

use crate::args::{Cli, Command};
use crate::code::CliCode;
use crate::error::CliError;
use crate::profile::{Kind, Profile};
use crate::roots::Roots;

/// The development program's name.
pub const DEVELOPMENT_PROGRAM: &str = "keyfold-dev";

/// Who does a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// This program.
    Here,
    /// `keyfold-dev`, with the same arguments.
    Development,
}

/// Decides who does a command: `dev`, `demo`, `bench` and whatever uses a development profile is
/// the development program's.
pub fn next(cli: &Cli, roots: &Roots, profile: Option<&Profile>) -> Next {
    let development_profile = profile.is_some_and(|profile| profile.file.kind == Kind::Development);
    if roots.development().is_none() && (cli.command.is_development() || development_profile) {
        Next::Development
    } else {
        Next::Here
    }
}

impl Command {
    fn is_development(&self) -> bool {
        matches!(self, Self::Dev(_) | Self::Demo(_) | Self::Bench(_))
    }
}

/// Becomes the development program. Returns only if that failed.
pub(crate) fn become_development_program(arguments: &[OsString]) -> CliError {
    let Some(program) = find(std::env::current_exe().ok().as_deref()) else {
        return CliError::new(
            CliCode::NoDevelopmentProgram,
            format!("{DEVELOPMENT_PROGRAM} is neither beside this program nor in PATH"),
            "It is in no release: build it from source (make dev), or use a profile of another kind.",
        );
    };
    let error = std::process::Command::new(&program)
        .args(arguments.iter().skip(1))
        .exec();
    CliError::new(
        CliCode::NoDevelopmentProgram,
        format!("cannot execute {}: {error}", program.display()),
        "Build it again from source (make dev).",
    )
}

fn find(this: Option<&Path>) -> Option<PathBuf> {
    let beside = this
        .and_then(Path::parent)
        .map(|folder| folder.join(DEVELOPMENT_PROGRAM));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path)
        // An empty or relative entry would run what lies in the current folder.
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(DEVELOPMENT_PROGRAM));
    beside
        .into_iter()
        .chain(in_path)
        .find(|program| program.is_file())
}
