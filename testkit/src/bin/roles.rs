//! Runs the roles of the system under test: `keyfold-dev` under a name of the tests' own.

use std::process::ExitCode;

fn main() -> ExitCode {
    keyfold_dev::main()
}
