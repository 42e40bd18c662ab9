//! The program `keyfold`: AWS's root of attestation documents, and no other.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    keyfold_cli::main(keyfold_cli::Roots::aws_nitro())
}
