//! `keyfold attest`, the program as it is built, on documents of the development issuer and on one
//! that AWS signed.
//!
//! The latter is public test data of `evervault/attestation-doc-validation` and is not part of this
//! repository; where the folder beside the checkout is absent its tests say so and pass.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use getrandom::SysRng;
use keyfold_attest::{MAX_DOCUMENT_LEN, Measurements, TrustRoot};
use keyfold_platform_dev::issuer::{DevIssuer, IssueRequest, cbor};
use rand_core::UnwrapErr;
use serde_json::{Value, json};

const MADE_MS: u64 = 1_767_268_800_000;
/// A minute later.
const AT: &str = "2026-01-01T12:01:00Z";
const NONCE: &str = "3031323334353637383961626364656630";

/// A folder with a development root, its documents and other files.
struct Place {
    folder: tempfile::TempDir,
    issuer: DevIssuer,
}

impl Place {
    fn new() -> Self {
        let issuer = DevIssuer::generate(&mut UnwrapErr(SysRng), MADE_MS).unwrap();
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
            issuer,
        };
        place.write("root.der", place.issuer.root_der());
        place.write("d", &place.document(|_| {}));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn document(&self, change: impl FnOnce(&mut IssueRequest)) -> Vec<u8> {
        let mut request = IssueRequest {
            module_id: "i-0123456789abcdef0-enc0123456789abcdef".to_owned(),
            timestamp_ms: MADE_MS,
            pcrs: BTreeMap::from([
                (0, [0xa0; 48]),
                (1, [0xa1; 48]),
                (2, [0xa2; 48]),
                (3, [0; 48]),
                (16, [0x16; 48]),
            ]),
            nonce: Some(hex::decode(NONCE).unwrap()),
            user_data: Some(b"user data".to_vec()),
            public_key: Some(b"public key".to_vec()),
        };
        change(&mut request);
        self.issuer.issue(&request, &mut UnwrapErr(SysRng)).unwrap()
    }

    fn debug_document(&self) -> Vec<u8> {
        self.document(|request| {
            for index in 0..=2 {
                request.pcrs.insert(index, [0; 48]);
            }
        })
    }

    /// As QEMU writes one: algorithm -1, and zeros in place of signature and certificates.
    fn unsigned_document(&self) -> Vec<u8> {
        let zeros = cbor::bytes(&[0; 64]);
        let request = IssueRequest {
            module_id: "qemu".to_owned(),
            timestamp_ms: MADE_MS,
            pcrs: BTreeMap::from([0, 1, 2].map(|index| (index, [0xa0 + index; 48]))),
            nonce: Some(hex::decode(NONCE).unwrap()),
            user_data: None,
            public_key: None,
        };
        let draft = self.issuer.draft(&request);
        let mut certified = draft.certify(&mut UnwrapErr(SysRng)).unwrap();
        *certified.claim_mut("certificate").unwrap() = zeros.clone();
        *certified.claim_mut("cabundle").unwrap() = cbor::array(std::slice::from_ref(&zeros));
        cbor::array(&[
            cbor::bytes(&cbor::map(&[(cbor::integer(1), cbor::integer(-1))], false)),
            cbor::map(&[], false),
            cbor::bytes(&certified.payload()),
            zeros,
        ])
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_keyfold"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The program does not read what is longer than any document.
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    fn json(&self, line: &str) -> (Option<i32>, Value) {
        let arguments: Vec<&str> = ["--json", "attest"]
            .into_iter()
            .chain(line.split_whitespace())
            .collect();
        let output = self.run(&arguments, b"");
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(printed.lines().count(), 1, "{line}: {printed}");
        (
            output.status.code(),
            serde_json::from_str(&printed).unwrap(),
        )
    }

    /// Verifies with the development root, at the document's time.
    fn verify(&self, line: &str) -> (Option<i32>, Value) {
        self.json(&format!("verify --root root.der --at {AT} {line}"))
    }

    #[track_caller]
    fn accepts(&self, line: &str) -> Value {
        let (exit, outcome) = self.verify(line);
        assert_eq!(exit, Some(0), "{line}: {outcome}");
        assert_eq!(outcome["verified"], true, "{line}");
        outcome
    }

    #[track_caller]
    fn refuses(&self, line: &str, code: &str) -> String {
        refused(self.verify(line), code)
    }
}

#[track_caller]
fn refused((exit, outcome): (Option<i32>, Value), code: &str) -> String {
    assert_eq!(outcome["error"]["code"], code, "{outcome}");
    assert_eq!(outcome["ok"], false);
    let expected = if code == "usage" { 2 } else { 4 };
    assert_eq!(exit, Some(expected), "{outcome}");
    // Nothing that was not verified is repeated.
    assert_eq!(outcome.as_object().unwrap().len(), 2, "{outcome}");
    assert!(!outcome["error"]["what_to_do"].as_str().unwrap().is_empty());
    outcome["error"]["message"].as_str().unwrap().to_owned()
}

fn warnings(outcome: &Value) -> String {
    outcome["warnings"].to_string()
}

fn pcr(index: u8, byte: u8) -> String {
    format!("--pcr {index}={}", hex::encode([byte; 48]))
}

/// What suffices besides the one thing that a test is about.
const LAX: &str = "--any-nonce --any-code";

#[test]
fn show_says_first_that_nobody_vouches_for_it() {
    let place = Place::new();
    for (document, marks) in [
        (place.document(|_| {}), &[][..]),
        (place.debug_document(), &["DEBUG MODE"]),
        (place.unsigned_document(), &["UNSIGNED"]),
    ] {
        place.write("shown", &document);
        let output = place.run(&["attest", "show", "shown"], b"");
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            text.starts_with("WARNING: nobody vouches for this"),
            "{text}"
        );
        for mark in ["DEBUG MODE", "UNSIGNED"] {
            assert_eq!(text.contains(mark), marks.contains(&mark), "{mark}: {text}");
        }
        let (_, shown) = place.json("show shown");
        assert_eq!(shown["verified"], false);
        assert_eq!(shown["document"]["signed"], !marks.contains(&"UNSIGNED"));
        assert_eq!(
            shown["document"]["debug_mode"],
            marks.contains(&"DEBUG MODE")
        );
    }
}

#[test]
fn show_tells_everything_that_a_document_says() {
    let place = Place::new();
    let (exit, shown) = place.json("show d");
    assert_eq!(exit, Some(0));
    let document = &shown["document"];
    assert_eq!(
        document["module_id"],
        "i-0123456789abcdef0-enc0123456789abcdef"
    );
    assert_eq!(document["time"], "2026-01-01T12:00:00Z");
    assert_eq!(document["time_ms"], MADE_MS);
    assert_eq!(document["cose_algorithm"], -35);
    assert_eq!(
        document["user_data"],
        json!({"hex": hex::encode("user data"), "text": "user data"})
    );
    assert_eq!(document["public_key"]["text"], "public key");
    assert_eq!(document["nonce"]["hex"], NONCE);
    let shown_pcrs: Vec<_> = document["pcrs"].as_object().unwrap().keys().collect();
    assert_eq!(shown_pcrs, ["0", "1", "16", "2"]);
    assert_eq!(document["zero_pcrs"], json!([3]));
    let certificates = document["certificates"].as_array().unwrap();
    assert_eq!(certificates.len(), 5);
    let root = TrustRoot::from_der(place.issuer.root_der()).unwrap();
    assert_eq!(certificates[0]["sha256"], hex::encode(root.fingerprint()));
    assert_eq!(certificates[1]["issuer"], certificates[0]["subject"]);
    assert_eq!(certificates[4]["not_after"], "2026-01-01T15:00:00Z");
    let (_, all) = place.json("show d --all");
    assert_eq!(all["document"]["pcrs"]["3"], "00".repeat(48));
}

#[test]
fn a_document_is_read_as_bytes_and_as_text_from_files_and_standard_input() {
    let place = Place::new();
    let document = std::fs::read(place.path("d")).unwrap();
    let digits = hex::encode(&document);
    let base64 = <base64ct::Base64 as base64ct::Encoding>::encode_string(&document);
    for (form, input) in [
        ("cbor", document.clone()),
        ("hex", digits.into_bytes()),
        ("base64", base64.into_bytes()),
    ] {
        place.write("input", &input);
        let outcome = place.accepts(&format!("input {LAX}"));
        assert_eq!(
            outcome["input"],
            json!({"form": form, "bytes": document.len()})
        );
        let line = format!("--json attest verify - --root root.der --at {AT} {LAX}");
        let output = place.run(&line.split(' ').collect::<Vec<_>>(), &input);
        let piped: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(piped, outcome);
    }
}

#[test]
fn a_document_that_meets_every_demand_is_verified_without_a_warning_but_the_roots() {
    let place = Place::new();
    let image = Measurements::of_image([0xa0; 48], [0xa1; 48], [0xa2; 48]);
    place.write("m.json", &serde_json::to_vec(&[image]).unwrap());
    place.write("key", b"public key");
    let outcome = place.accepts(&format!(
        "d --nonce {NONCE} --measurements m.json {} --pcr16 {} --user-data {} --public-key key \
         --max-age 60s",
        pcr(3, 0),
        hex::encode([0x16; 48]),
        hex::encode("user data"),
    ));
    assert_eq!(outcome["ok"], true);
    assert_eq!(outcome["fresh"], true);
    assert_eq!(outcome["code_checked"], true);
    assert_eq!(outcome["at_ms"], MADE_MS + 60_000);
    assert_eq!(outcome["valid_until_ms"], MADE_MS + 60_000);
    assert_eq!(
        outcome["compared"],
        json!({"nonce": true, "measurements": 1, "pcrs": [3, 16], "user_data": true, "public_key": true})
    );
    assert_eq!(outcome["warnings"].as_array().unwrap().len(), 1);
    assert!(warnings(&outcome).contains("THE ROOT IS NOT AWS'S"));
}

#[test]
fn who_does_not_say_how_fresh_or_which_code_is_told_how() {
    let place = Place::new();
    for (line, options) in [
        ("d --any-code".to_owned(), &["--nonce", "--any-nonce"][..]),
        (
            "d --any-nonce".to_owned(),
            &["--measurements", "--pcr", "--any-code"],
        ),
        (format!("d --any-nonce {}", pcr(16, 0x16)), &["--any-code"]),
        (format!("d --any-nonce {}", pcr(1, 0xa1)), &["--any-code"]),
    ] {
        let (_, outcome) = place.verify(&line);
        place.refuses(&line, "usage");
        let what_to_do = outcome["error"]["what_to_do"].as_str().unwrap();
        for option in options {
            assert!(what_to_do.contains(option), "{line}: {what_to_do}");
        }
    }
    let twice = format!("d {LAX} {} {}", pcr(0, 0xa0), pcr(0, 0xa0));
    place.refuses(&twice, "usage");
    place.refuses(&format!("nowhere {LAX}"), "usage");
    place.refuses(&format!("d --root d {LAX}"), "usage");
}

#[test]
fn what_was_not_demanded_is_said_aloud() {
    let place = Place::new();
    let outcome = place.accepts(&format!("d {LAX}"));
    assert_eq!(outcome["fresh"], false);
    assert_eq!(outcome["code_checked"], false);
    for warning in ["FRESHNESS IS NOT PROVEN", "THE CODE WAS NOT CHECKED"] {
        assert!(warnings(&outcome).contains(warning), "{outcome}");
    }
    let line = format!("attest verify d --root root.der --at {AT} {LAX}");
    let output = place.run(&line.split(' ').collect::<Vec<_>>(), b"");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("WARNING: THE ROOT IS NOT AWS'S"), "{text}");
    assert!(text.contains("a root that is NOT AWS's"), "{text}");
}

#[test]
fn a_document_that_is_not_what_was_demanded_is_refused_with_the_reason() {
    let place = Place::new();
    let image = Measurements::of_image([0xa0; 48], [0xa1; 48], [0xb2; 48]);
    place.write("m.json", &serde_json::to_vec(&[image]).unwrap());
    for (line, reason) in [
        ("--nonce 00ff --any-code".to_owned(), "another nonce"),
        (format!("{LAX} {}", pcr(0, 0xa1)), "PCR0 is not"),
        // One that matches does not stand for one that does not.
        (
            format!("{LAX} {} {}", pcr(0, 0xa0), pcr(3, 1)),
            "PCR3 is not",
        ),
        (format!("{LAX} {}", pcr(31, 0)), "PCR31 is missing"),
        (format!("{LAX} --pcr16 {}", "00".repeat(48)), "PCR16 is not"),
        (
            "--any-nonce --measurements m.json".to_owned(),
            "measured code",
        ),
        (format!("{LAX} --user-data 00"), "user data"),
        (format!("{LAX} --public-key 00"), "public key"),
    ] {
        let message = place.refuses(&format!("d {line}"), "document_unexpected");
        assert!(message.contains(reason), "{line}: {message}");
    }
    let bare = place.document(|request| {
        request.nonce = None;
        request.user_data = None;
    });
    place.write("bare", &bare);
    let message = place.refuses(
        &format!("bare --nonce {NONCE} --any-code"),
        "document_unexpected",
    );
    assert!(message.contains("no nonce"), "{message}");
    place.refuses(&format!("bare {LAX} --user-data 00"), "document_unexpected");
}

#[test]
fn debug_mode_is_refused_until_it_is_allowed_and_then_told_aloud() {
    let place = Place::new();
    place.write("debug", &place.debug_document());
    let image = Measurements::of_image([0; 48], [0; 48], [0; 48]);
    place.write("m.json", &serde_json::to_vec(&[image]).unwrap());
    for code in [
        "--any-code".to_owned(),
        pcr(0, 0),
        "--measurements m.json".to_owned(),
    ] {
        let line = format!("debug --any-nonce {code}");
        place.refuses(&line, "document_debug");
        let outcome = place.accepts(&format!("{line} --allow-debug"));
        assert_eq!(outcome["document"]["debug_mode"], true);
        assert_eq!(outcome["code_checked"], false);
        assert!(warnings(&outcome).contains("DEBUG MODE"));
    }
    // To allow it demands no less of others.
    let other = format!("d --any-nonce --allow-debug {}", pcr(0, 0));
    place.refuses(&other, "document_unexpected");
    assert!(!warnings(&place.accepts(&format!("d {LAX} --allow-debug"))).contains("DEBUG"));
}

#[test]
fn a_document_is_judged_at_the_time_that_is_named() {
    let place = Place::new();
    let at = |at: &str, more: &str| {
        place.json(&format!("verify d --root root.der --at {at} {LAX} {more}"))
    };
    let last = MADE_MS / 1000 + 3600;
    assert_eq!(at(&last.to_string(), "").0, Some(0));
    let long = "--max-age 1d";
    for (time, more, reason) in [
        ((last + 1).to_string(), "", "too old"),
        (
            "2026-01-01T12:00:11Z".to_owned(),
            "--max-age 10s",
            "too old",
        ),
        (
            "2026-01-01T15:00:01Z".to_owned(),
            long,
            "certificate 4 has expired",
        ),
        ("2026-04-01T12:00:00Z".to_owned(), long, "has expired"),
        ("2025-12-31T12:00:00Z".to_owned(), long, "not valid yet"),
        ("0".to_owned(), long, "not valid yet"),
    ] {
        let message = refused(at(&time, more), "document_outdated");
        assert!(message.contains(reason), "{time}: {message}");
    }
    assert_eq!(at("2026-01-01T15:00:00Z", long).0, Some(0));
    // Where no time is named it is today's, long after these certificates have expired.
    let today = place.json(&format!("verify d --root root.der {LAX}"));
    refused(today, "document_outdated");
}

#[test]
fn another_root_than_the_trusted_one_is_refused() {
    let place = Place::new();
    let other = Place::new();
    place.write("other.der", other.issuer.root_der());
    for root in ["", "--root other.der"] {
        let verdict = place.json(&format!("verify d --at {AT} {LAX} {root}"));
        let message = refused(verdict, "document_untrusted");
        assert!(message.contains("trusted root"), "{message}");
    }
    let mut forged = std::fs::read(place.path("d")).unwrap();
    *forged.last_mut().unwrap() ^= 1;
    place.write("forged", &forged);
    let message = place.refuses(&format!("forged {LAX}"), "document_untrusted");
    assert!(message.contains("signature"), "{message}");
    // A development root may come as the text that its issuer keeps, too.
    let pem = place.issuer.to_pem().unwrap();
    place.write("issuer.pem", pem.as_bytes());
    let verdict = place.json(&format!("verify d --root issuer.pem --at {AT} {LAX}"));
    assert_eq!(verdict.0, Some(0), "{}", verdict.1);
}

#[test]
fn truncated_garbage_empty_and_huge_input_is_refused() {
    let place = Place::new();
    let document = std::fs::read(place.path("d")).unwrap();
    for bytes in [
        document[..document.len() - 1].to_vec(),
        document[..10].to_vec(),
        [&document[..], b"\0"].concat(),
        hex::encode(&document[1..]).into_bytes(),
        b"this is no document".to_vec(),
        Vec::new(),
        vec![0xff; 1000],
        vec![0x9f; MAX_DOCUMENT_LEN + 1],
        vec![b'8'; 2 * MAX_DOCUMENT_LEN + 2],
        vec![b' '; 8 * MAX_DOCUMENT_LEN],
        vec![0x9f; 1 << 22],
    ] {
        place.write("bad", &bytes);
        place.refuses(&format!("bad {LAX}"), "document_malformed");
        refused(place.json("show bad"), "document_malformed");
        let output = place.run(&["--json", "attest", "show", "-"], &bytes);
        assert_eq!(output.status.code(), Some(4));
    }
}

#[test]
fn a_document_that_nobody_signed_is_refused_whatever_is_allowed() {
    let place = Place::new();
    place.write("unsigned", &place.unsigned_document());
    place.refuses(
        &format!("unsigned {LAX} --allow-debug"),
        "document_unsigned",
    );
    let verdict = place.json(&format!("verify unsigned --at {AT} {LAX} --allow-debug"));
    refused(verdict, "document_unsigned");
    place.refuses(
        &format!("unsigned --nonce {NONCE} {}", pcr(0, 0xa0)),
        "document_unsigned",
    );
}

const GENUINE_AT: &str = "2022-10-13T09:00:00Z";
const GENUINE_PCR0: &str = "f4d48b81a460c9916d1e685119074bf24660afd3e34fae9fca0a0d28d9d5599936332687e6f66fc890ac8cf150142d8b";

fn genuine(place: &Place) -> bool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/nitro/evervault-2022-10-13.cbor");
    let Ok(document) = std::fs::read(&path) else {
        eprintln!(
            "SKIPPED: there is no {}; nothing was tested",
            path.display()
        );
        return false;
    };
    place.write("genuine", &document);
    true
}

#[test]
fn a_genuine_document_is_verified_under_aws_s_root() {
    let place = Place::new();
    if !genuine(&place) {
        return;
    }
    let (_, shown) = place.json("show genuine");
    let nonce = shown["document"]["nonce"]["hex"].as_str().unwrap();
    let line = format!("verify genuine --at {GENUINE_AT} --nonce {nonce} --pcr 0={GENUINE_PCR0}");
    let (exit, outcome) = place.json(&line);
    assert_eq!(exit, Some(0), "{outcome}");
    assert_eq!(outcome["warnings"], json!([]));
    assert_eq!(outcome["root"]["aws_nitro"], true);
    assert_eq!(
        outcome["root"]["sha256"],
        "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"
    );
    assert_eq!(outcome["document"]["time"], "2022-10-13T08:58:02.136Z");
    assert_eq!(
        outcome["document"]["module_id"],
        "i-020b6af9246d90e92-enc0183d09086c24190"
    );
}

#[test]
fn a_genuine_document_is_refused_for_each_thing_that_is_wrong_with_it() {
    let place = Place::new();
    if !genuine(&place) {
        return;
    }
    let verify = |line: &str| place.json(&format!("verify genuine {line}"));
    let at = format!("--at {GENUINE_AT}");
    let wrong_pcr = format!("{at} --any-nonce {}", pcr(0, 1));
    for (line, code) in [
        (
            format!("{at} --any-code --nonce 00ff"),
            "document_unexpected",
        ),
        (wrong_pcr, "document_unexpected"),
        (
            format!("{at} {LAX} --pcr16 {}", "00".repeat(48)),
            "document_unexpected",
        ),
        (format!("{at} {LAX} --user-data 00"), "document_unexpected"),
        (LAX.to_owned(), "document_outdated"),
        (
            format!("--at 1665662283 --max-age 1d {LAX}"),
            "document_outdated",
        ),
        (format!("{at} {LAX} --root root.der"), "document_untrusted"),
    ] {
        refused(verify(&line), code);
    }
    let document = std::fs::read(place.path("genuine")).unwrap();
    place.write("genuine", &document[..document.len() / 2]);
    refused(verify(&format!("{at} {LAX}")), "document_malformed");
}
