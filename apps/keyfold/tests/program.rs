//! The program itself: what it hands to the development program, what it refuses, what it prints.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A folder with the program in it, and what it would find beside itself.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let built = Path::new(env!("CARGO_BIN_EXE_keyfold"));
        // Beside the built program, so that a link suffices.
        let folder = tempfile::tempdir_in(built.parent().unwrap()).unwrap();
        std::fs::hard_link(built, folder.path().join("keyfold")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a program beside `keyfold` that prints its arguments.
    fn with_development_program(self) -> Self {
        let script = self.path("keyfold-dev");
        std::fs::write(
            &script,
            "#!/bin/sh\nprintf 'dev:'\nprintf ' [%s]' \"$@\"\nexit 7\n",
        )
        .unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn with_profile(self, name: &str, kind: &str) -> Self {
        let root = match kind {
            "development" => "root_certificate = \"root.der\"",
            _ => "",
        };
        let text = format!(
            "gateway = \"https://127.0.0.1:1\"\ngateway_spki = \"{}\"\nrealm = \"{}\"\n\
             kind = \"{kind}\"\nproject = \"app.example\"\n{root}\n",
            "00".repeat(32),
            "11".repeat(32),
        );
        std::fs::write(self.path(name), text).unwrap();
        self
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(self.path("keyfold"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .output()
            .unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Reads standard output as the one JSON object that it must be.
#[track_caller]
fn json(output: &Output) -> Value {
    let printed = text(&output.stdout);
    assert_eq!(printed.lines().count(), 1, "{printed}");
    serde_json::from_str(&printed).unwrap()
}

#[test]
fn dev_demo_and_bench_are_the_development_programs_with_all_their_arguments() {
    let place = Place::new().with_development_program();
    for arguments in [
        &["dev"][..],
        &["demo", "--json"],
        &["demo", "--help"],
        &["bench", "sign", "--rounds", "3"],
        &["--json", "demo", "two words", ""],
    ] {
        let output = place.run(arguments);
        let expected: String = arguments.iter().map(|one| format!(" [{one}]")).collect();
        assert_eq!(text(&output.stdout), format!("dev:{expected}"));
        assert_eq!(output.status.code(), Some(7));
    }
}

#[test]
fn a_development_profile_is_the_development_programs() {
    let place = Place::new()
        .with_development_program()
        .with_profile("p.toml", "development");
    for command in ["status", "sign-out", "devices"] {
        let output = place.run(&["--profile", "p.toml", command]);
        assert_eq!(
            text(&output.stdout),
            format!("dev: [--profile] [p.toml] [{command}]")
        );
    }
    let shown = place.run(&["--profile", "p.toml", "--json", "profile", "show"]);
    assert_eq!(json(&shown)["profile"]["kind"], "development");
}

#[test]
fn without_the_development_program_a_development_profile_is_refused() {
    let place = Place::new().with_profile("p.toml", "development");
    for arguments in [
        &["--json", "--profile", "p.toml", "status"][..],
        &["--json", "dev"],
    ] {
        let output = place.run(arguments);
        assert_eq!(json(&output)["error"]["code"], "no_development_program");
        assert_eq!(output.status.code(), Some(2));
    }
    // Nothing was made, no key drawn.
    assert!(!place.path("p.state").exists());
}

#[test]
fn a_program_in_the_current_folder_is_not_taken_for_the_development_program() {
    let place = Place::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let script = elsewhere.path().join("keyfold-dev");
    std::fs::write(&script, "#!/bin/sh\necho trapped\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    for path in ["", ".", ":.:"] {
        let output = Command::new(place.path("keyfold"))
            .arg("dev")
            .current_dir(elsewhere.path())
            .env_clear()
            .env("PATH", path)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{path:?}");
        assert!(!text(&output.stdout).contains("trapped"));
    }
}

#[test]
fn a_real_profile_is_never_handed_on() {
    let place = Place::new()
        .with_development_program()
        .with_profile("p.toml", "aws-nitro");
    let output = place.run(&["--json", "--profile", "p.toml", "wallet", "list"]);
    let error = json(&output);
    assert_eq!(error["error"]["code"], "not_signed_in");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn a_gateway_that_cannot_be_reached_is_told_with_what_to_do() {
    let place = Place::new().with_profile("p.toml", "aws-nitro");
    let output = Command::new(place.path("keyfold"))
        .args([
            "--json",
            "--profile",
            "p.toml",
            "sign-in",
            "--email",
            "a@example.org",
        ])
        .arg("--code-from-stdin")
        .current_dir(place.folder.path())
        .output()
        .unwrap();
    let error = json(&output);
    assert_eq!(error["ok"], false);
    assert_eq!(error["error"]["code"], "gateway_unreachable");
    for part in ["message", "what_to_do"] {
        assert!(!error["error"][part].as_str().unwrap().is_empty());
    }
    assert_eq!(output.status.code(), Some(5));
}

#[test]
fn status_reports_what_it_could_not_verify() {
    let place = Place::new().with_profile("p.toml", "aws-nitro");
    let output = place.run(&["--json", "--profile", "p.toml", "status"]);
    let status = json(&output);
    assert_eq!(status["ok"], false);
    assert_eq!(status["realm"]["verified"], false);
    assert_eq!(status["realm"]["error"]["code"], "gateway_unreachable");
    assert_eq!(status["session"], Value::Null);
    assert_eq!(output.status.code(), Some(5));
}

#[test]
fn without_a_profile_the_error_says_how_to_get_one() {
    let place = Place::new();
    let output = place.run(&["status"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let error = text(&output.stderr);
    assert!(error.starts_with("error: there is no profile "), "{error}");
    assert!(error.contains("keyfold profile --help"), "{error}");
    assert!(error.trim_end().ends_with("[no_profile]"), "{error}");
}

#[test]
fn arguments_that_make_no_sense_are_told_in_the_form_that_was_asked_for() {
    let place = Place::new();
    for (arguments, named) in [
        (&["--json", "wallet", "burn"][..], "burn"),
        (&["--json", "wallet"], "missing"),
        (&["--json"], "subcommand"),
        (&["--json", "transaction", "short"], "<ID>"),
        (&["--json", "send", "--value", "1"], "--to"),
        (&["--json", "send", "--to", "0x12", "--value", "1"], "--to"),
    ] {
        let output = place.run(arguments);
        let error = json(&output);
        assert_eq!(error["error"]["code"], "usage");
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains(named), "{arguments:?}: {message}");
        assert_eq!(output.status.code(), Some(2));
    }
    let output = place.run(&["wallet", "burn"]);
    assert!(output.stdout.is_empty());
    assert_eq!(output.status.code(), Some(2));
    let help = place.run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("Exit codes"));
}

#[test]
fn a_name_that_would_be_refused_is_refused_before_a_mail_is_sent() {
    let place = Place::new().with_profile("p.toml", "aws-nitro");
    let mut arguments = vec!["--json", "--profile", "p.toml", "sign-in", "--email"];
    arguments.extend(["a@mail.example", "--code-from-stdin", "--device-name"]);
    arguments.push("\u{1b}[31m");
    let output = place.run(&arguments);
    // Nothing was asked of the gateway, which is not there.
    assert_eq!(json(&output)["error"]["code"], "usage");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn what_was_sent_can_be_listed_without_a_gateway() {
    let place = Place::new().with_profile("p.toml", "aws-nitro");
    let output = place.run(&["--json", "--profile", "p.toml", "transactions"]);
    assert_eq!(json(&output)["transactions"], serde_json::json!([]));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn what_is_damaged_or_not_there_is_told_with_its_code() {
    let place = Place::new().with_profile("p.toml", "aws-nitro");
    std::fs::write(place.path("bad.toml"), "gateway = 1").unwrap();
    let state = place.path("p.state");
    std::fs::create_dir(&state).unwrap();
    std::fs::write(state.join("session.json"), "{").unwrap();
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(state.join("session.json"), private).unwrap();
    for (arguments, code, exit) in [
        (&["--profile", "bad.toml", "status"][..], "bad_profile", 2),
        (&["--profile", "p.toml", "wallet", "list"], "bad_state", 1),
        (
            &["realm", "status", "--enclave", "nobody"],
            "enclave_unreachable",
            5,
        ),
    ] {
        let output = place.run(&[&["--json"], arguments].concat());
        assert_eq!(json(&output)["error"]["code"], code);
        assert_eq!(output.status.code(), Some(exit), "{code}");
    }
}

#[test]
fn a_servers_key_is_drawn_once_into_a_file_of_its_owner_alone() {
    let place = Place::new();
    let first = json(&place.run(&["--json", "server-key", "server.key"]));
    assert_eq!(first["server"]["kty"], "EC");
    assert!(first["server"].get("d").is_none());
    let again = json(&place.run(&["--json", "server-key", "server.key"]));
    assert_eq!(again, first);
    let file = place.path("server.key");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = json(&place.run(&["--json", "server-key", "server.key"]));
    assert_eq!(refused["error"]["code"], "bad_state");
}

#[test]
fn introspection_makes_no_key_that_nobody_lists() {
    let place = Place::new().with_profile("p.toml", "aws-nitro");
    std::fs::write(place.path("token"), "a.b.c").unwrap();
    let line = "--json --profile p.toml introspect --key none.key --token-file token";
    let refused = json(&place.run(&line.split(' ').collect::<Vec<_>>()));
    assert_eq!(refused["error"]["code"], "usage");
    assert!(!place.path("none.key").exists());
}
