//! Which programs can use a development realm.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use clap::Parser as _;
use keyfold_attest::TrustRoot;
use keyfold_cli::{Cli, Exit, Next, Profile, Roots, connect, next};

/// In tests any root will do; what matters is who may load one.
fn loader(path: &Path) -> Result<TrustRoot, String> {
    let der = std::fs::read(path).map_err(|error| error.to_string())?;
    TrustRoot::from_der(&der).map_err(|error| error.to_string())
}

fn profile(folder: &Path, kind: &str, more: &str) -> Profile {
    let path = folder.join("p.toml");
    let text = format!(
        "gateway = \"https://127.0.0.1:1\"\ngateway_spki = \"{}\"\nrealm = \"{}\"\n\
         kind = \"{kind}\"\n{more}\n",
        "00".repeat(32),
        "11".repeat(32),
    );
    std::fs::write(&path, text).unwrap();
    Profile::load(&path).unwrap()
}

fn cli(line: &str) -> Cli {
    Cli::try_parse_from(line.split_whitespace()).unwrap()
}

#[test]
fn the_released_program_connects_to_no_development_realm() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root.der");
    std::fs::write(&root, TrustRoot::aws_nitro().der()).unwrap();
    let profile = profile(
        folder.path(),
        "development",
        "root_certificate = \"root.der\"",
    );
    // Whatever the file says: even where it is AWS's own root, the kind decides.
    let refused = connect(&profile, &Roots::aws_nitro()).unwrap_err();
    assert_eq!(refused.code, "development_profile");
    assert_eq!(refused.exit, Exit::Unverified);
    assert!(connect(&profile, &Roots::with_development(loader)).is_ok());
}

#[test]
fn a_real_realms_root_is_aws_nitros_in_every_program() {
    let folder = tempfile::tempdir().unwrap();
    let profile = profile(folder.path(), "aws-nitro", "");
    fn never(_: &Path) -> Result<TrustRoot, String> {
        panic!("a development root was asked for")
    }
    for roots in [Roots::aws_nitro(), Roots::with_development(never)] {
        let client = connect(&profile, &roots).unwrap();
        assert_eq!(client.pin().root, TrustRoot::aws_nitro());
        assert!(!client.pin().policy.allows_debug());
    }
}

#[test]
fn who_does_a_command_follows_from_program_and_profile() {
    let folder = tempfile::tempdir().unwrap();
    let real = profile(folder.path(), "aws-nitro", "");
    let released = Roots::aws_nitro();
    let development = Roots::with_development(loader);
    assert_eq!(
        next(&cli("keyfold status"), &released, Some(&real)),
        Next::Here
    );
    assert_eq!(
        next(&cli("keyfold demo"), &released, None),
        Next::Development
    );
    assert_eq!(next(&cli("keyfold demo"), &development, None), Next::Here);
    let other = profile(
        folder.path(),
        "development",
        "root_certificate = \"root.der\"",
    );
    assert_eq!(
        next(&cli("keyfold status"), &released, Some(&other)),
        Next::Development
    );
    assert_eq!(
        next(&cli("keyfold status"), &development, Some(&other)),
        Next::Here
    );
}
