//! See the library beside this file.

use std::process::ExitCode;

fn main() -> ExitCode {
    keyfold_dev::main()
}
