use proptest::prelude::*;

use super::*;

// The example of golang.org/x/mod/sumdb/note, which C2SP signed-note descends from.
const TEXT: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const SEED: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const SIGNATURE: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn signer() -> NoteSigner {
    let typed = Base64::decode_vec(SEED).unwrap();
    NoteSigner::new(
        "PeterNeumann",
        NoteKey::from_seed(typed[1..].try_into().unwrap()),
    )
    .unwrap()
}

fn example() -> String {
    format!("{TEXT}\n{SIGNATURE}")
}

#[test]
fn the_published_example_verifies() {
    let verifier = NoteVerifier::parse(VKEY).unwrap();
    let note = SignedNote::parse(example().as_bytes()).unwrap();
    assert_eq!(note.verify(&verifier), Ok(TEXT));
}

#[test]
fn the_published_key_signs_the_published_note() {
    assert_eq!(signer().sign(TEXT).unwrap(), example());
    assert_eq!(signer().verifier().unwrap().to_string(), VKEY);
}

#[test]
fn a_note_signed_by_somebody_else_under_the_same_name_is_refused() {
    let other = NoteSigner::new("PeterNeumann", NoteKey::from_seed(&[1; 32])).unwrap();
    let note = SignedNote::parse(other.sign(TEXT).unwrap().as_bytes()).unwrap();
    let verifier = NoteVerifier::parse(VKEY).unwrap();
    assert_eq!(note.verify(&verifier), Err(NoteError::UnknownSigner));
}

#[test]
fn the_right_key_id_over_a_wrong_signature_is_refused() {
    let forged = example().replace("ZJkuBS9U", "ZJkuBS9V");
    let note = SignedNote::parse(forged.as_bytes()).unwrap();
    let verifier = NoteVerifier::parse(VKEY).unwrap();
    assert_eq!(note.verify(&verifier), Err(NoteError::WrongSignature));
}

#[test]
fn a_second_signature_by_another_key_is_left_alone() {
    let other = NoteSigner::new("witness.example/w1", NoteKey::from_seed(&[1; 32])).unwrap();
    let line = other.sign(TEXT).unwrap().split_off(TEXT.len() + 1);
    let note = SignedNote::parse(format!("{}{line}", example()).as_bytes()).unwrap();
    assert_eq!(note.verify(&NoteVerifier::parse(VKEY).unwrap()), Ok(TEXT));
    assert_eq!(note.verify(&other.verifier().unwrap()), Ok(TEXT));
}

#[test]
fn malformed_notes_are_refused() {
    let good = example();
    for (defect, bytes) in [
        ("empty", String::new()),
        ("no signature", TEXT.to_owned()),
        ("blank line but no signature", format!("{TEXT}\n")),
        ("no blank line", format!("{TEXT}{SIGNATURE}")),
        ("no last newline", good.trim_end().to_owned()),
        ("carriage returns", good.replace('\n', "\r\n")),
        ("a control character", good.replace("think", "th\u{1b}ink")),
        ("hyphen for the dash", good.replace('\u{2014}', "-")),
        (
            "two spaces",
            good.replace("PeterNeumann ", "PeterNeumann  "),
        ),
        ("no padding", good.replace("AM=", "AM")),
        ("url alphabet", good.replace("o/Z", "o_Z")),
        (
            "only a key id",
            format!("{TEXT}\n\u{2014} PeterNeumann x08gow==\n"),
        ),
        (
            "a plus in the name",
            good.replace("PeterNeumann", "Peter+Neumann"),
        ),
        ("trailing text", format!("{good}more\n")),
    ] {
        assert_eq!(
            SignedNote::parse(bytes.as_bytes()).err(),
            Some(NoteError::Malformed),
            "{defect}"
        );
    }
    assert_eq!(
        SignedNote::parse(b"\xff\n\n").err(),
        Some(NoteError::Malformed)
    );
}

#[test]
fn large_notes_are_refused() {
    let huge = format!("{}\n\n{SIGNATURE}", "x".repeat(MAX_NOTE_BYTES));
    assert_eq!(
        SignedNote::parse(huge.as_bytes()).err(),
        Some(NoteError::TooLarge)
    );
    let many = format!("{TEXT}\n{}", SIGNATURE.repeat(MAX_SIGNATURES + 1));
    assert_eq!(
        SignedNote::parse(many.as_bytes()).err(),
        Some(NoteError::TooLarge)
    );
    assert!(
        signer()
            .sign(&format!("{}\n", "x".repeat(MAX_NOTE_BYTES)))
            .is_err()
    );
}

#[test]
fn names_that_would_break_the_line_are_refused() {
    for name in ["", "a b", "a+b", "a\nb", "a\u{a0}b", &"x".repeat(256)] {
        assert_eq!(
            NoteSigner::new(name, NoteKey::from_seed(&[1; 32])).err(),
            Some(NoteError::BadName),
            "{name:?}"
        );
    }
}

#[test]
fn verifier_keys_with_a_wrong_id_type_or_point_are_refused() {
    for (defect, vkey) in [
        ("id of another key", VKEY.replace("c74f20a3", "c74f20a4")),
        ("id in capitals", VKEY.replace("c74f20a3", "C74F20A3")),
        ("another type", VKEY.replace("+ARpc", "+AhpC")),
        ("too short", VKEY.replace("10TW", "")),
        ("no key", "PeterNeumann+c74f20a3".to_owned()),
    ] {
        assert!(NoteVerifier::parse(&vkey).is_err(), "{defect}");
    }
    // The identity is a point of order one: every signature with a fitting R would verify.
    let mut identity = [0; 32];
    identity[0] = 1;
    assert_eq!(
        NoteVerifier::new("x", &identity).err(),
        Some(NoteError::BadKey)
    );
}

#[test]
fn a_text_without_last_newline_or_with_a_tab_is_not_signed() {
    assert_eq!(signer().sign("no newline"), Err(NoteError::Malformed));
    assert_eq!(signer().sign("a\ttab\n"), Err(NoteError::Malformed));
    assert_eq!(signer().sign(""), Err(NoteError::Malformed));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_change_of_one_byte_of_a_note_verifies(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let verifier = NoteVerifier::parse(VKEY).unwrap();
        let mut bytes = example().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        let verified = SignedNote::parse(&bytes).and_then(|note| note.verify(&verifier).map(str::to_owned));
        prop_assert!(verified.is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = SignedNote::parse(&bytes);
    }

    #[test]
    fn what_is_signed_is_read_back(lines in prop::collection::vec("[ -~\u{e9}\u{2014}]{0,40}", 1..6)) {
        let text = format!("{}\n", lines.join("\n"));
        let note = signer().sign(&text).unwrap();
        let read = SignedNote::parse(note.as_bytes()).unwrap();
        prop_assert_eq!(read.verify(&signer().verifier().unwrap()).unwrap(), text);
    }
}
