//! A project's life on the command line, against the whole system: three administrators, two of whom
//! change what the host must neither decide nor see.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

#[macro_use]
mod common;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use keyfold_testkit::system::System;
use serde_json::{Value, json};

use common::search::{Haystack, Needle};
use common::{Cases, start};

const PROGRAM: &str = env!("CARGO_BIN_EXE_keyfold-test-roles");
const APP: &str = "team.example";
const PASSWORD: &str = "correct-horse-battery-staple";
const CLIENT_SECRET: &str = "GOCSPX-a1b2c3d4e5f6g7h8";

/// What the program did.
struct Done {
    exit: i32,
    json: Value,
    errors: String,
}

impl Done {
    #[track_caller]
    fn ok(self) -> Value {
        let good = self.exit == 0 && self.json["ok"] == json!(true);
        assert!(good, "exit {}: {} {}", self.exit, self.json, self.errors);
        self.json
    }

    #[track_caller]
    fn failed(self, exit: i32, code: &str) -> Value {
        let found = (self.exit, &self.json["error"]["code"]);
        assert_eq!(found, (exit, &json!(code)), "{} {}", self.json, self.errors);
        self.json["error"].clone()
    }
}

/// An administrator: a profile of their own, and so a device.
struct Admin {
    profile: PathBuf,
    folder: PathBuf,
}

impl Admin {
    fn new(system: &System, name: &str) -> Self {
        let first = system.files().profile(&system.project().id);
        let folder = tempfile::tempdir_in(system.files().root()).unwrap().keep();
        let profile = first.with_file_name(format!("{name}.toml"));
        std::fs::copy(&first, &profile).unwrap();
        Self { profile, folder }
    }

    /// Runs `keyfold project` with `--json`; files are named in the administrator's folder.
    async fn run(&self, arguments: &str, input: &str) -> Done {
        let mut command = Command::new(PROGRAM);
        command
            .current_dir(&self.folder)
            .args(["--json", "--profile"])
            .arg(&self.profile)
            .arg("project")
            .args(arguments.split_whitespace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let input = input.to_owned();
        let output = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            // It may have ended without reading.
            let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
            child.wait_with_output().unwrap()
        });
        let output = output.await.unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(printed.lines().count(), 1, "{printed:?} {errors}");
        Done {
            exit: output.status.code().unwrap(),
            json: serde_json::from_str(&printed).unwrap(),
            errors,
        }
    }

    async fn ok(&self, arguments: &str) -> Value {
        self.run(arguments, "").await.ok()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    async fn shown(&self) -> Value {
        self.ok(&format!("show --project {APP}")).await
    }
}

struct Team<'a> {
    system: &'a System,
    anna: Admin,
    boris: Admin,
    clara: Admin,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn administrators_change_a_project_that_the_host_cannot_read() {
    let system = start(|options| options.record_traffic = true).await;
    let team = Team {
        system: &system,
        anna: Admin::new(&system, "anna"),
        boris: Admin::new(&system, "boris"),
        clara: Admin::new(&system, "clara"),
    };
    let mut cases = Cases::default();
    run_cases!(
        cases,
        &team,
        [
            one_administrator_makes_it_and_sets_it_up_alone,
            three_become_administrators_of_whom_two_must_sign,
            two_of_three_change_settings_and_one_does_not,
            a_secret_is_entered_by_two_and_shown_to_nobody,
            nobody_else_is_told_that_there_is_such_a_project,
            the_host_has_seen_no_secret,
        ]
    );
    drop(team);
    cases.end(system).await;
}

async fn one_administrator_makes_it_and_sets_it_up_alone(team: &Team<'_>) {
    let anna = &team.anna;
    let roots = team.system.files().root().join("mail-root.pem");
    let roots = serde_json::to_string(&std::fs::read_to_string(roots).unwrap()).unwrap();
    let settings = format!(
        "display_name = \"Team\"\n\
         [mail]\nhost = \"smtp.keyfold.test\"\nport = 465\nfrom = \"codes@keyfold.test\"\n\
         roots_pem = {roots}\n"
    );
    let file = anna.write("first.toml", &settings);
    anna.ok(&format!("create --project {APP} --settings {file}"))
        .await;
    let shown = anna.shown().await;
    assert_eq!(
        (&shown["version"], &shown["threshold"]),
        (&json!(1), &json!(1))
    );

    // What is shown, with a line changed.
    let settings = settings.replace("\"Team\"", "\"The Team\"");
    let file = anna.write("second.toml", &settings);
    let set = format!("set --project {APP} --file {file}");
    let changed = anna.ok(&set).await;
    assert_eq!(
        changed["changes"],
        json!(["- display_name = \"Team\"", "+ display_name = \"The Team\""])
    );
    assert_eq!(changed["version"], 2);
    assert_eq!(anna.ok(&set).await["changed"], false);
    // What the enclave refuses names its place.
    let wrong = format!("{settings}[sign_in]\nsession_seconds = 1\n");
    let file = anna.write("wrong.toml", &wrong);
    let error = anna
        .run(&format!("set --project {APP} --file {file}"), "")
        .await;
    let error = error.failed(6, "project_invalid");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("sign_in.session_seconds"), "{message}");
    let with_password = settings.replace("port = 465", "port = 465\npassword = \"x\"");
    let file = anna.write("password.toml", &with_password);
    anna.run(&format!("set --project {APP} --file {file}"), "")
        .await
        .failed(2, "usage");
}

async fn three_become_administrators_of_whom_two_must_sign(team: &Team<'_>) {
    let mut add = String::new();
    for (name, admin) in [("boris", &team.boris), ("clara", &team.clara)] {
        let key = admin.ok("key").await["key"].to_string();
        let file = team.anna.write(&format!("{name}.jwk"), &key);
        add.push_str(&format!(" --add {file}"));
    }
    let changed = team
        .anna
        .ok(&format!("admins --project {APP} --threshold 2{add}"))
        .await;
    assert_eq!(changed["version"], 3);
    let listed = team.clara.ok(&format!("admins --project {APP}")).await;
    assert_eq!(listed["administrators"].as_array().unwrap().len(), 3);
    assert_eq!(listed["threshold"], 2);
}

async fn two_of_three_change_settings_and_one_does_not(team: &Team<'_>) {
    let Team {
        anna, boris, clara, ..
    } = team;
    let mut settings = anna.shown().await["settings"].clone();
    settings["sign_in"]["email_code"] = json!(false);
    let file = anna.write("off.json", &settings.to_string());
    let command = anna.folder.join("off.command.json").display().to_string();
    let proposed = anna
        .ok(&format!(
            "set --project {APP} --file {file} --out {command}"
        ))
        .await;
    assert_eq!(proposed["changed"], false);
    anna.run(&format!("submit {command}"), "")
        .await
        .failed(6, "not_administrator");
    assert_eq!(anna.shown().await["version"], 3);

    let looked = boris.ok(&format!("approve {command} --look")).await;
    assert_eq!(
        looked["changes"],
        json!([
            "- sign_in.email_code = true",
            "+ sign_in.email_code = false"
        ])
    );
    assert_eq!(looked["approved_by"].as_array().unwrap().len(), 1);
    // Without somebody to ask, it signs only when told to.
    boris
        .run(&format!("approve {command}"), "yes\n")
        .await
        .failed(2, "usage");
    let approved = boris.ok(&format!("approve {command} --yes")).await;
    assert_eq!(approved["approved_by"].as_array().unwrap().len(), 2);
    // Altered after it was signed.
    let text = std::fs::read_to_string(&command).unwrap();
    let altered = clara.write("altered.json", &text.replace("The Team", "The Tean"));
    clara
        .run(&format!("submit {altered}"), "")
        .await
        .failed(6, "not_administrator");
    let changed = clara.ok(&format!("submit {command}")).await;
    assert_eq!(changed["version"], 4);
    // It may be handed in again while it is the latest; after that it is stale.
    assert_eq!(anna.ok(&format!("submit {command}")).await["version"], 4);
    let refused = start_sign_in(team).await;
    assert!(refused.contains("method_off"), "{refused}");

    settings["sign_in"]["email_code"] = json!(true);
    let file = anna.write("on.json", &settings.to_string());
    let on = anna.folder.join("on.command.json").display().to_string();
    anna.ok(&format!("set --project {APP} --file {file} --out {on}"))
        .await;
    clara.ok(&format!("approve {on} --yes")).await;
    anna.ok(&format!("submit {on}")).await;
    anna.run(&format!("submit {command}"), "")
        .await
        .failed(6, "project_stale");
}

async fn start_sign_in(team: &Team<'_>) -> String {
    let device = team
        .system
        .device(&keyfold_testkit::system::new_key())
        .unwrap();
    let started = device
        .start_email(&APP.parse().unwrap(), "anybody@mail.example")
        .await;
    started.map_or_else(|error| common::told(&error), |_| "started".to_owned())
}

async fn a_secret_is_entered_by_two_and_shown_to_nobody(team: &Team<'_>) {
    let Team { anna, boris, .. } = team;
    for (name, value) in [("mail", PASSWORD), ("provider:google", CLIENT_SECRET)] {
        let command = anna.folder.join(format!("{}.json", value.len()));
        let command = command.display().to_string();
        let set = format!("secret set {name} --project {APP} --out {command}");
        anna.run(&set, &format!("{value}\n")).await.ok();
        let text = std::fs::read_to_string(&command).unwrap();
        assert!(!text.contains(value));
        boris.ok(&format!("approve {command} --yes")).await;
        // Not by who has not the salt, and not with another value.
        boris
            .run(&format!("submit {command}"), value)
            .await
            .failed(2, "usage");
        anna.run(&format!("submit {command}"), "another-value-of-it")
            .await
            .failed(6, "project_invalid");
        let file = anna.write("value", value);
        anna.ok(&format!("submit {command} --from-file {file}"))
            .await;
    }
    let shown = boris.shown().await;
    assert_eq!(shown["secrets"], json!(["mail", "provider:google"]));
    let text = shown.to_string();
    assert!(!text.contains(PASSWORD) && !text.contains(CLIENT_SECRET));
}

async fn nobody_else_is_told_that_there_is_such_a_project(team: &Team<'_>) {
    let stranger = Admin::new(team.system, "stranger");
    let mut answers = Vec::new();
    for project in [APP, "nowhere.example"] {
        let shown = stranger.run(&format!("show --project {project}"), "").await;
        let mut error = shown.failed(6, "project_unknown");
        error.as_object_mut().unwrap().remove("request_id");
        answers.push(error);
    }
    assert_eq!(answers[0], answers[1]);
}

async fn the_host_has_seen_no_secret(team: &Team<'_>) {
    let files = team.system.files();
    let mut folders = vec![files.traffic(), files.logs(), files.gateway()];
    folders.extend((0..3).map(|number| files.holder(number)));
    let everything = Haystack::of(&folders);
    let needles = [
        Needle::new("a mail password", PASSWORD.as_bytes()),
        Needle::new("a client secret", CLIENT_SECRET.as_bytes()),
    ];
    let found = everything.find(&needles);
    assert!(found.is_empty(), "found:\n{}", found.join("\n"));
    // The search sees what is there: the holders' logs name the project, the traffic its paths.
    let sees = |needle: Needle, folder| !Haystack::of(&[folder]).find(&[needle]).is_empty();
    assert!(sees(
        Needle::new("the project", APP.as_bytes()),
        files.holder(1)
    ));
    assert!(sees(
        Needle::new("a path", b"/v1/host/records/put"),
        files.traffic()
    ));
}
