//! The command line against the whole system: what a person or a script is told, and that nobody is
//! led to pay twice.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

#[macro_use]
mod common;
#[path = "command/account.rs"]
mod account;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use alloy_primitives::{Address, U256};
use keyfold_testkit::system::{Part, System};
use serde_json::{Value, json};

use common::{Cases, start, until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_keyfold-test-roles");
const EMAIL: &str = "command@mail.example";
const RECIPIENT: Address = Address::repeat_byte(0x77);
const COIN: u64 = 1_000_000_000_000_000_000;

/// What the program did.
struct Done {
    exit: i32,
    /// The one object on standard output.
    json: Value,
    errors: String,
}

impl Done {
    #[track_caller]
    fn of(output: &std::process::Output) -> Self {
        let printed = String::from_utf8(output.stdout.clone()).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(printed.lines().count(), 1, "{printed:?} {errors}");
        Self {
            exit: output.status.code().unwrap(),
            json: serde_json::from_str(&printed).unwrap(),
            errors,
        }
    }

    #[track_caller]
    fn ok(self) -> Value {
        assert_eq!((self.exit, &self.json["ok"]), (0, &json!(true)), "{self:?}");
        self.json
    }

    #[track_caller]
    fn failed(self, exit: i32, code: &str) -> Value {
        let found = (self.exit, &self.json["error"]["code"]);
        assert_eq!(found, (exit, &json!(code)), "{self:?}");
        self.json["error"].clone()
    }
}

impl std::fmt::Debug for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {}: {}\n{}", self.exit, self.json, self.errors)
    }
}

/// Runs the command line with `--json`, behind a shell's prefix.
async fn run_in(system: &System, prefix: &str, arguments: &[&str], input: &str) -> Done {
    let profile = system.files().profile(&system.project().id);
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &format!("{prefix} exec \"$@\""), "sh"])
        .arg(PROGRAM)
        .args(["--json", "--profile"])
        .arg(profile)
        .args(arguments)
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
    Done::of(&output.await.unwrap())
}

async fn run(system: &System, arguments: &[&str]) -> Done {
    run_in(system, "", arguments, "").await
}

/// Signs the command line in: the code is given to it while it waits.
async fn sign_in(system: &System, profile: &Path) -> Value {
    let (signed_in, answer) = try_sign_in(system, profile, &[]).await;
    assert!(signed_in, "{answer}");
    answer
}

async fn try_sign_in(system: &System, profile: &Path, more: &[&str]) -> (bool, Value) {
    let mut command = Command::new(PROGRAM);
    command
        .args(["--json", "--profile"])
        .arg(profile)
        .args(["sign-in", "--email", EMAIL, "--code-from-stdin"])
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let seen = system.mailbox().codes(EMAIL).unwrap().len();
    let mut child = command.spawn().unwrap();
    let mail = system.mailbox().wait(EMAIL, seen).await.unwrap();
    let code = mail.code().unwrap().to_owned();
    writeln!(child.stdin.take().unwrap(), "{code}").unwrap();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    let output = output.await.unwrap();
    let answer = serde_json::from_slice(&output.stdout).unwrap();
    (output.status.success(), answer)
}

/// Runs the command line with another profile than the first device's.
async fn run_with(system: &System, profile: &Path, arguments: &str) -> Done {
    let profile = profile.display();
    let prefix = format!("set -- \"$1\" --json --profile '{profile}' {arguments};");
    run_in(system, &prefix, &[], "").await
}

async fn received(system: &System) -> U256 {
    system.chain().balance(RECIPIENT).await.unwrap()
}

fn send<'a>(to: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["send", "--to", to, "--value", "7"];
    arguments.extend(more);
    arguments
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field]
        .as_str()
        .unwrap_or_else(|| panic!("no {field} in {value}"))
}

async fn mine(system: &System, automatically: bool) {
    let on = system
        .chain()
        .call("evm_setAutomine", json!([automatically]));
    on.await.unwrap();
    if automatically {
        system.chain().call("evm_mine", json!([])).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_never_leads_anybody_to_pay_twice() {
    let system = start(|_| {}).await;
    let profile = system.files().profile(&system.project().id);
    sign_in(&system, &profile).await;
    let wallet = run(&system, &["wallet", "create"]).await.ok();
    let wallet: Address = text(&wallet, "address").parse().unwrap();
    system.chain().fund(wallet, U256::from(COIN)).await.unwrap();

    let mut cases = Cases::default();
    run_cases!(
        cases,
        &system,
        [
            a_transaction_in_no_block_yet_is_asked_for_by_its_id,
            a_gateway_that_goes_while_a_transaction_is_under_way_leaves_its_id_and_hash,
            one_id_is_one_transaction_however_often_it_is_sent,
            an_id_that_a_script_draws_is_sent_once,
            a_full_disk_before_the_hand_over_sends_nothing,
            a_full_disk_does_not_take_the_outcome_away,
            a_transaction_of_another_device_can_be_asked_for,
            a_gateway_with_another_key_is_not_verified,
            a_configuration_is_changed_shown_and_verified,
            a_thumbprint_on_no_list_is_not_approved,
            what_is_on_no_list_is_not_ended,
            a_device_that_was_approved_does_not_say_that_it_waits,
            a_device_that_was_taken_off_comes_back_with_a_new_credential_only,
            holders_that_are_down_are_bad_news_in_a_status,
        ]
    );
    cases.end(system).await;
}

async fn a_transaction_in_no_block_yet_is_asked_for_by_its_id(system: &System) {
    let (to, before) = (RECIPIENT.to_string(), received(system).await);
    mine(system, false).await;
    let sent = run(system, &send(&to, &["--wait", "1"])).await;
    let told = sent.errors.clone();
    let error = sent.failed(7, "transaction_pending");
    let transaction = &error["transaction"];
    let (id, hash) = (text(transaction, "id"), text(transaction, "hash"));
    assert!(told.contains(id), "{told}");
    assert!(text(&error, "what_to_do").contains(&format!("keyfold transaction {id}")));
    assert!(
        !text(&error, "what_to_do")
            .to_lowercase()
            .contains("try again")
    );
    let asked = run(system, &["transaction", id]).await;
    asked.failed(7, "transaction_pending");

    mine(system, true).await;
    let mined = run(system, &["transaction", id, "--wait", "30"]).await.ok();
    assert_eq!((text(&mined, "tx"), text(&mined, "state")), (hash, "mined"));
    let again = run(system, &send(&to, &["--id", id])).await.ok();
    assert_eq!(text(&again, "tx"), hash);
    assert_eq!(received(system).await, before + U256::from(7));
    let list = run(system, &["transactions"]).await.ok();
    assert_eq!(text(&list["transactions"][0], "id"), id);
    assert_eq!(text(&list["transactions"][0], "state"), "mined");
}

async fn a_gateway_that_goes_while_a_transaction_is_under_way_leaves_its_id_and_hash(
    system: &System,
) {
    let (to, before) = (RECIPIENT.to_string(), received(system).await);
    mine(system, false).await;
    let count = async || {
        let pending = system
            .chain()
            .call("txpool_status", json!([]))
            .await
            .unwrap();
        pending["pending"] != json!("0x0")
    };
    let wait = send(&to, &["--wait", "3"]);
    let (sent, ()) = tokio::join!(run(system, &wait), async {
        until("the transaction is at the node", count).await;
        // Its sender has the answer, and asks.
        tokio::time::sleep(Duration::from_millis(500)).await;
        system.process(Part::Gateway).kill().await;
    });
    let error = sent.failed(7, "transaction_unconfirmed");
    let id = text(&error["transaction"], "id");
    let hash = text(&error["transaction"], "hash");
    assert!(text(&error, "what_to_do").contains(&format!("--id {id}")));
    // Who asks while it is away may ask again; who lists needs nobody.
    run(system, &["transaction", id])
        .await
        .failed(5, "gateway_unreachable");
    let list = run(system, &["transactions"]).await.ok();
    assert_eq!(text(&list["transactions"][0], "hash"), hash);

    system.start_again(Part::Gateway).await.unwrap();
    mine(system, true).await;
    let again = run(system, &send(&to, &["--id", id])).await.ok();
    assert_eq!(text(&again, "tx"), hash);
    assert_eq!(received(system).await, before + U256::from(7));
}

async fn one_id_is_one_transaction_however_often_it_is_sent(system: &System) {
    let (to, before) = (RECIPIENT.to_string(), received(system).await);
    let first = run(system, &send(&to, &[])).await.ok();
    let id = text(&first, "id");
    for _ in 0..2 {
        let again = run(system, &send(&to, &["--id", id])).await.ok();
        assert_eq!(again, first);
    }
    assert_eq!(received(system).await, before + U256::from(7));
    // What was not signed under it is not sent under it.
    let more = ["send", "--to", &to, "--value", "8", "--id", id];
    let error = run(system, &more).await.failed(2, "id_taken");
    assert!(text(&error, "message").contains(id));
    assert_eq!(received(system).await, before + U256::from(7));
}

async fn an_id_that_a_script_draws_is_sent_once(system: &System) {
    let (to, before) = (RECIPIENT.to_string(), received(system).await);
    let id = "00112233445566778899aabbccddeeff";
    run(system, &["transaction", id])
        .await
        .failed(6, "transaction_unknown");
    for _ in 0..2 {
        let sent = run(system, &send(&to, &["--id", id])).await.ok();
        assert_eq!(text(&sent, "id"), id);
    }
    assert_eq!(received(system).await, before + U256::from(7));
}

/// No file can be written, as on a full disk.
const FULL_DISK: &str = "trap '' XFSZ; ulimit -f 0;";

async fn a_full_disk_before_the_hand_over_sends_nothing(system: &System) {
    let (to, before) = (RECIPIENT.to_string(), received(system).await);
    let sent = run_in(system, FULL_DISK, &send(&to, &[]), "").await;
    sent.failed(1, "bad_state");
    assert_eq!(received(system).await, before);
}

async fn a_full_disk_does_not_take_the_outcome_away(system: &System) {
    let (to, before) = (RECIPIENT.to_string(), received(system).await);
    for arguments in [
        &["sign", "message", "hello"][..],
        &["wallet", "create", "--label", "on a full disk"],
    ] {
        let done = run_in(system, FULL_DISK, arguments, "").await;
        let told = done.errors.clone();
        done.ok();
        assert_eq!(told.matches("warning: ").count(), 1, "{told}");
        assert!(told.contains("[bad_state]"), "{told}");
    }
    // What was stored before is handed over, whatever can be stored of the outcome.
    let id = "ffeeddccbbaa99887766554433221100";
    mine(system, false).await;
    let wait = send(&to, &["--id", id, "--wait", "0"]);
    run(system, &wait).await.failed(7, "transaction_pending");
    mine(system, true).await;
    let sent = run_in(system, FULL_DISK, &send(&to, &["--id", id]), "").await;
    assert!(sent.errors.contains("[bad_state]"), "{}", sent.errors);
    assert_eq!(text(&sent.ok(), "id"), id);
    assert_eq!(received(system).await, before + U256::from(7));
}

async fn a_transaction_of_another_device_can_be_asked_for(system: &System) {
    let to = RECIPIENT.to_string();
    let first = run(system, &send(&to, &[])).await.ok();
    let id = text(&first, "id").to_owned();
    let state = system
        .files()
        .root()
        .join(format!("{}.state", system.project().id));
    std::fs::remove_file(state.join(format!("transaction-{id}.json"))).unwrap();
    let asked = run(system, &["transaction", &id]).await.ok();
    assert_eq!(text(&asked, "tx"), text(&first, "tx"));
    // Whoever sends under its id what is signed anew is told, and nothing is sent.
    let before = received(system).await;
    run(system, &send(&to, &["--id", &id]))
        .await
        .failed(6, "idempotency_conflict");
    assert_eq!(received(system).await, before);
}

async fn a_configuration_is_changed_shown_and_verified(system: &System) {
    let config = async |arguments: &str| {
        let words = ["wallet", "config"].into_iter();
        let words: Vec<&str> = words.chain(arguments.split(' ')).collect();
        run(system, &words).await
    };
    let before = config("show").await.ok();
    assert_eq!(before["updates"], 0);
    assert_eq!(config("publish").await.ok()["published"], false);
    let signer = Address::repeat_byte(0x66).to_string();
    let add = format!("add-recovery --signer {signer} --delay-days 7");
    let added = config(&add).await.ok();
    assert_eq!(added["state"]["checkpoint"], 1);
    let leaf = &added["state"]["members"]["recovery"][0];
    assert_eq!(text(leaf, "requiredDeltaSeconds"), "604800");
    config(&add).await.failed(2, "config_invalid");
    let key = Address::repeat_byte(0x67);
    let file = system.files().root().join("change.json");
    let change = json!({ "kind": "add-key", "key": key });
    std::fs::write(&file, change.to_string()).unwrap();
    let changed = config(&format!("change --file {}", file.display())).await;
    let root = text(&changed.ok(), "root").to_owned();
    let verified = config("verify").await.ok();
    assert_eq!(verified["verified_updates"], 2);
    assert_eq!(text(&verified, "root"), root);
    let history = config("history").await.ok();
    assert_eq!(history["updates"].as_array().map(Vec::len), Some(2));
    assert_eq!(text(&history["updates"][1], "image_hash"), root);
    let tree = config(&format!("tree {root}")).await.ok();
    assert_eq!(text(&tree["tree"], "kind"), "config");
    let removed = config(&format!("remove {signer}")).await.ok();
    assert!(removed["state"]["members"].get("recovery").is_none());
    config(&format!("remove {signer}")).await.failed(2, "usage");
    // What it can do, it still does; also when the chain was told.
    let to = Address::repeat_byte(0x68).to_string();
    run(system, &send(&to, &[])).await.ok();
    let told = config("publish").await.ok();
    assert_eq!(told["published"], true);
    assert_eq!(told["image_hash"], removed["root"]);
    let again = config("publish").await.ok();
    assert_eq!(
        (&again["published"], &again["hash"]),
        (&json!(false), &json!(null))
    );
    config("publish --chain 1").await.failed(6, "chain_unknown");
    run(system, &send(&to, &[])).await.ok();
    run(system, &["sign", "message", "hello"]).await.ok();
}

async fn a_gateway_with_another_key_is_not_verified(system: &System) {
    let profile = system.files().profile(&system.project().id);
    let text = std::fs::read_to_string(&profile).unwrap();
    let pin = system.gateway_pin().to_string();
    assert!(text.contains(&pin), "{text}");
    let other = profile.with_file_name("other-pin.toml");
    std::fs::write(&other, text.replace(&pin, &"00".repeat(32))).unwrap();
    // Signed in, as far as the state says, so that the gateway is spoken to.
    let state = profile.with_extension("state");
    let copy = other.with_extension("state");
    std::fs::create_dir(&copy).unwrap();
    for file in ["device.key", "session.json"] {
        std::fs::copy(state.join(file), copy.join(file)).unwrap();
    }
    let error = run_with(system, &other, "sign-out").await;
    let error = error.failed(4, "gateway_unverified");
    assert!(!self::text(&error, "message").contains("docs.rs"));
    let status = run_with(system, &other, "status").await;
    assert_eq!((status.exit, &status.json["ok"]), (4, &json!(false)));
}

async fn a_thumbprint_on_no_list_is_not_approved(system: &System) {
    let unknown = "A".repeat(43);
    let approved = run(system, &["devices", "approve", &unknown]).await;
    let error = approved.failed(6, "device_not_listed");
    assert!(text(&error, "message").contains("on no list"));
}

async fn what_is_on_no_list_is_not_ended(system: &System) {
    let unknown = "A".repeat(43);
    let revoked = run(system, &["devices", "revoke", &unknown]).await;
    revoked.failed(6, "device_not_listed");
    let unknown = "0".repeat(32);
    let ended = run(system, &["sessions", "revoke", &unknown]).await;
    ended.failed(6, "session_not_listed");
}

async fn a_device_that_was_taken_off_comes_back_with_a_new_credential_only(system: &System) {
    let first = system.files().profile(&system.project().id);
    let third = first.with_file_name("third.toml");
    std::fs::copy(&first, &third).unwrap();
    let device = sign_in(system, &third).await["device"].clone();
    let thumbprint = text(&device, "thumbprint");
    let session = run(system, &["sessions"]).await.ok()["sessions"].clone();
    let mut sessions = session.as_array().unwrap().iter();
    let session = sessions.find(|known| text(known, "device") == thumbprint);
    let session = text(session.unwrap(), "session").to_owned();
    run(system, &["sessions", "revoke", &session]).await.ok();

    for number in [0, 1] {
        system.process(Part::Holder(number)).stop().await;
    }
    let unlisted = ["devices", "revoke", thumbprint, "--unlisted"];
    let pending = run(system, &unlisted).await;
    let error = pending.failed(5, "revocation_pending");
    assert!(text(&error, "what_to_do").contains("--unlisted"));
    for number in [0, 1] {
        system.start_again(Part::Holder(number)).await.unwrap();
    }
    run(system, &["devices", "revoke", thumbprint]).await.ok();

    let (_, refused) = try_sign_in(system, &third, &[]).await;
    assert_eq!(refused["error"]["code"], "device_revoked", "{refused}");
    let (signed_in, answer) = try_sign_in(system, &third, &["--new-credential"]).await;
    assert!(signed_in, "{answer}");
    assert_ne!(text(&answer["device"], "thumbprint"), thumbprint);
    run(system, &["devices", "revoke", "--all-others"])
        .await
        .ok();
    let left = run(system, &["devices"]).await.ok()["devices"].clone();
    assert_eq!(left.as_array().unwrap().len(), 1, "{left}");
}

async fn holders_that_are_down_are_bad_news_in_a_status(system: &System) {
    run(system, &["status"]).await.ok();
    for number in [0, 1] {
        system.process(Part::Holder(number)).kill().await;
    }
    let status = run(system, &["status"]).await;
    assert_eq!(
        (status.exit, &status.json["ok"]),
        (5, &json!(false)),
        "{status:?}"
    );
    assert_eq!(
        status.json["wallets"]["error"]["code"],
        "holders_unavailable"
    );
    for number in [0, 1] {
        system.start_again(Part::Holder(number)).await.unwrap();
    }
}

async fn a_device_that_was_approved_does_not_say_that_it_waits(system: &System) {
    let first = system.files().profile(&system.project().id);
    let second = first.with_file_name("second.toml");
    std::fs::copy(&first, &second).unwrap();
    let device = sign_in(system, &second).await["device"].clone();
    assert!(device["state"]["pending_until"].is_u64(), "{device}");
    let waits = run_with(system, &second, "status").await.json;
    assert_eq!(waits["session"]["device_state"]["state"], "pending");
    let thumbprint = text(&device, "thumbprint");
    run(system, &["devices", "approve", thumbprint]).await.ok();
    let status = run_with(system, &second, "status").await.ok();
    assert_eq!(status["session"]["device_state"]["state"], "active");
}

#[test]
fn development_commands_answer_programs_with_one_object_too() {
    for (arguments, named) in [
        (&["--json", "demo", "--bogus"][..], "--bogus"),
        (&["--json", "bench", "sign", "--seconds", "0"], "--seconds"),
        (&["--json", "bench"], "missing"),
    ] {
        let output = Command::new(PROGRAM).args(arguments).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(printed.lines().count(), 1, "{arguments:?}: {printed:?}");
        let error: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(error["error"]["code"], "usage");
        assert!(text(&error["error"], "message").contains(named), "{error}");
        assert_eq!(output.status.code(), Some(2));
    }
    for command in ["demo", "dev", "bench"] {
        let arguments = ["--profile", "x", command, "--help"];
        let output = Command::new(PROGRAM).args(arguments).output().unwrap();
        assert!(output.status.success(), "{command}");
    }
    // What fails while it runs: the folder is a file.
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    for arguments in [
        ["demo", "--data", path].as_slice(),
        &["bench", "sign", "--data", path],
        &["bench", "sign-in", "--data", path],
    ] {
        let mut command = Command::new(PROGRAM);
        let output = command.arg("--json").args(arguments).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(printed.lines().count(), 1, "{arguments:?}: {printed:?}");
        let error: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(error["error"]["code"], "development_failed");
        assert_eq!(output.status.code(), Some(1));
    }
}
