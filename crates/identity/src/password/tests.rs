//! What is a password, what a stored one may say, and for whom it verifies.

use keyfold_crypto::testing::SeededRng;
use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_800_000_000;
const DEVICE: [u8; 32] = [7; 32];
const ANNA: PasswordAccount<'static> = PasswordAccount {
    project: "app",
    identity: b"anna@mail.example",
};

fn parsed(text: &str) -> Result<String, PasswordError> {
    Password::parse(text).map(|password| password.expose(str::to_owned))
}

fn pepper(id: u32) -> Pepper {
    Pepper::new(id, Secret::from_array([id as u8; 32]))
}

fn permit() -> MemoryPermit {
    MemoryBudget::new(Cost::MAX_MEMORY_KIB)
        .try_take(Cost::MAX_MEMORY_KIB)
        .unwrap()
}

fn hashed(account: &PasswordAccount<'_>) -> PasswordHash {
    hash(
        &Password::parse("correct horse").unwrap(),
        account,
        Cost::MINIMUM,
        &pepper(1),
        &mut permit(),
        &mut SeededRng::new(1),
    )
    .unwrap()
}

fn check(
    text: &str,
    account: &PasswordAccount<'_>,
    stored: Option<&PasswordHash>,
    wanted: Cost,
    peppers: &[Pepper],
) -> Result<ProvenPassword, VerifyError> {
    let password = Password::parse(text).unwrap();
    verify(
        &password,
        account,
        DEVICE,
        stored,
        wanted,
        peppers,
        &mut permit(),
        NOW,
    )
}

#[test]
fn two_keyboards_write_one_password() {
    let composed = "caf\u{e9} au lait";
    assert_eq!(parsed("cafe\u{301} au lait").as_deref(), Ok(composed));
    assert_eq!(parsed(composed).as_deref(), Ok(composed));
    // RFC 8265 section 4.2.2: other spaces become U+0020, and case and width stay.
    assert_eq!(
        parsed("correct\u{3000}horse").as_deref(),
        Ok("correct horse")
    );
    assert_eq!(parsed("correct\u{a0}horse").as_deref(), Ok("correct horse"));
    assert_ne!(parsed("Correct horse"), parsed("correct horse"));
    assert_ne!(parsed("\u{ff50}assword"), parsed("password"));
    assert_eq!(parsed(" surrounded ").as_deref(), Ok(" surrounded "));
}

/// The table of RFC 8265 section 4.2.3.
#[test]
fn examples_of_rfc_8265() {
    for text in [
        "correct horse battery staple",
        "Correct Horse Battery Staple",
        "\u{3c0}\u{df}\u{e5}\u{3c0}\u{df}\u{e5}\u{3c0}\u{df}",
        "Jack of \u{2666}s",
    ] {
        assert_eq!(parsed(text).as_deref(), Ok(text));
    }
    assert_eq!(
        parsed("foo\u{1680}bar").as_deref(),
        Err(&PasswordError::TooShort)
    );
    assert_eq!(parsed("foo\u{1680}bar foo").as_deref(), Ok("foo bar foo"));
    assert_eq!(parsed(""), Err(PasswordError::TooShort));
    assert_eq!(parsed("my cat is a \u{9}by"), Err(PasswordError::Character));
}

#[test]
fn control_characters_and_code_points_that_are_none_are_refused() {
    for bad in [
        '\0', '\n', '\r', '\u{7f}', '\u{85}', '\u{200b}', '\u{e000}', '\u{fdd0}', '\u{ffff}',
    ] {
        let text = format!("correct{bad}horse");
        assert_eq!(parsed(&text), Err(PasswordError::Character), "{bad:?}");
    }
}

#[test]
fn length_is_counted_in_code_points_after_normalisation() {
    for (text, error) in [
        ("1234567".to_owned(), Some(PasswordError::TooShort)),
        ("12345678".to_owned(), None),
        // Eight code points as typed, seven when composed.
        ("123456e\u{301}".to_owned(), Some(PasswordError::TooShort)),
        ("\u{1f412}".repeat(8), None),
        ("\u{1f412}".repeat(128), None),
        ("\u{1f412}".repeat(129), Some(PasswordError::TooLong)),
        ("x".repeat(129), Some(PasswordError::TooLong)),
        ("e\u{301}".repeat(128), None),
        ("x".repeat(1 << 20), Some(PasswordError::TooLong)),
    ] {
        assert_eq!(parsed(&text).err(), error, "{} bytes", text.len());
    }
    assert_eq!(
        format!("{:?}", Password::parse("12345678").unwrap()),
        "Password([redacted])"
    );
}

/// RFC 9106 section 5.3 uses a key and associated data; ours has no data, so this is that of the
/// reference implementation's own tests: password, somesalt, 2 passes, 64 MiB, one lane.
#[test]
fn argon2id_computes_what_the_reference_does() {
    let params = Params::new(65_536, 2, 1, Some(32)).unwrap();
    let mut memory = vec![argon2::Block::new(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut tag = [0; 32];
    argon2
        .hash_password_into_with_memory(b"password", b"somesalt", &mut tag, &mut memory)
        .unwrap();
    assert_eq!(
        hex::encode(tag),
        "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"
    );
}

#[test]
fn the_right_password_proves_account_project_and_device_and_no_other_does() {
    let stored = hashed(&ANNA);
    let peppers = [pepper(1)];
    let with = |text: &str, account: &PasswordAccount<'_>| {
        check(text, account, Some(&stored), Cost::MINIMUM, &peppers)
    };
    let proven = with("correct horse", &ANNA).unwrap();
    assert_eq!((proven.project(), proven.device()), ("app", &DEVICE));
    assert_eq!(proven.identity(), b"anna@mail.example");
    assert!(!proven.needs_upgrade());
    assert_eq!(with("correct horsf", &ANNA), Err(VerifyError::Wrong));
    // The same hash, put into the place of another account or project.
    let bert = PasswordAccount {
        identity: b"bert@mail.example",
        ..ANNA
    };
    let other = PasswordAccount {
        project: "other",
        ..ANNA
    };
    let shifted = PasswordAccount {
        project: "appa",
        identity: b"nna@mail.example",
    };
    for account in [bert, other, shifted] {
        assert_eq!(with("correct horse", &account), Err(VerifyError::Wrong));
    }
}

#[test]
fn an_account_without_a_password_is_refused_after_the_same_work() {
    let peppers = [pepper(1)];
    let nobody = |memory_kib| {
        let password = Password::parse("correct horse").unwrap();
        let mut permit = MemoryBudget::new(memory_kib).try_take(memory_kib).unwrap();
        let wanted = Cost::MINIMUM;
        verify(
            &password,
            &ANNA,
            DEVICE,
            None,
            wanted,
            &peppers,
            &mut permit,
            NOW,
        )
    };
    let enough = Cost::MINIMUM.memory_kib();
    assert_eq!(nobody(enough), Err(VerifyError::Wrong));
    // That it fails for want of memory shows that it computes.
    assert_eq!(
        nobody(enough - 1),
        Err(VerifyError::Hash(HashError::Permit))
    );
}

#[test]
fn a_permit_for_less_memory_computes_nothing() {
    let stored = hashed(&ANNA);
    let mut small = MemoryBudget::new(1_000).try_take(1_000).unwrap();
    let password = Password::parse("correct horse").unwrap();
    let (cost, pepper) = (Cost::MINIMUM, pepper(1));
    let error = HashError::Permit;
    let mut rng = SeededRng::new(1);
    let made = hash(&password, &ANNA, cost, &pepper, &mut small, &mut rng);
    assert_eq!(made.unwrap_err(), error);
    let peppers = [pepper];
    let stored = Some(&stored);
    let checked = verify(
        &password, &ANNA, DEVICE, stored, cost, &peppers, &mut small, NOW,
    );
    assert_eq!(checked.unwrap_err(), VerifyError::Hash(error));
}

#[test]
fn a_hash_of_less_cost_or_of_an_older_pepper_asks_to_be_upgraded() {
    let stored = hashed(&ANNA);
    let upgrade = |wanted, peppers: &[Pepper]| {
        check("correct horse", &ANNA, Some(&stored), wanted, peppers)
            .map(|proven| proven.needs_upgrade())
    };
    let minimum = Cost::MINIMUM;
    assert_eq!(upgrade(minimum, &[pepper(1)]), Ok(false));
    assert_eq!(
        upgrade(Cost::new(20_000, 2, 1).unwrap(), &[pepper(1)]),
        Ok(true)
    );
    assert_eq!(
        upgrade(Cost::new(19_456, 3, 1).unwrap(), &[pepper(1)]),
        Ok(true)
    );
    assert_eq!(upgrade(minimum, &[pepper(2), pepper(1)]), Ok(true));
    assert_eq!(
        upgrade(minimum, &[pepper(2)]),
        Err(VerifyError::UnknownPepper)
    );
    assert_eq!(upgrade(minimum, &[]), Err(VerifyError::UnknownPepper));
    // The number alone does not make the key.
    let forged = Pepper::new(1, Secret::from_array([9; 32]));
    assert_eq!(upgrade(minimum, &[forged]), Err(VerifyError::Wrong));
}

#[test]
fn parameters_that_exhaust_memory_or_protect_nothing_are_refused_unread() {
    let good = hashed(&ANNA).to_string();
    assert!(PasswordHash::parse(&good).is_ok(), "{good}");
    for (from, to) in [
        ("m=19456", "m=4294967295"),
        ("m=19456", "m=131073"),
        ("m=19456", "m=19455"),
        ("t=2", "t=4294967295"),
        ("t=2", "t=11"),
        ("t=2", "t=1"),
        ("p=1", "p=0"),
        ("p=1", "p=5"),
        ("p=1", "p=16777215"),
    ] {
        let parsed = PasswordHash::parse(&good.replace(from, to));
        assert_eq!(parsed.unwrap_err(), StoredError::Cost(CostError), "{to}");
    }
    for (memory, passes, lanes) in [
        (19_455, 2, 1),
        (131_073, 2, 1),
        (19_456, 1, 1),
        (19_456, 11, 1),
        (19_456, 2, 0),
        (19_456, 2, 5),
    ] {
        assert_eq!(Cost::new(memory, passes, lanes), Err(CostError));
    }
}

#[test]
fn a_second_text_of_one_hash_is_refused() {
    let good = hashed(&ANNA).to_string();
    for (from, to) in [
        ("$argon2id$", "$argon2i$"),
        ("$argon2id$", "$argon2d$"),
        ("$argon2id$", "argon2id$"),
        ("v=19", "v=16"),
        ("$v=19", ""),
        ("m=19456", "m=019456"),
        ("m=19456", "m=+19456"),
        ("m=19456,t=2", "t=2,m=19456"),
        ("m=19456", "m=99999999999"),
        (",keyid=AAAAAQ", ""),
        ("keyid=AAAAAQ", "keyid=AAAAAQ=="),
        ("keyid=AAAAAQ", "keyid=AAAAAR"),
        ("keyid=AAAAAQ", "keyid=AAAAAQ,data=AA"),
        ("keyid=AAAAAQ", "keyid=AAAA"),
    ] {
        let changed = good.replacen(from, to, 1);
        assert_ne!(changed, good);
        assert_eq!(
            PasswordHash::parse(&changed).unwrap_err(),
            StoredError::Malformed,
            "{to}"
        );
    }
    for changed in [
        format!("{good}$"),
        format!("{good} "),
        good[..good.len() - 1].to_owned(),
        "x".repeat(1 << 20),
    ] {
        assert_eq!(
            PasswordHash::parse(&changed).unwrap_err(),
            StoredError::Malformed
        );
    }
}

#[test]
fn a_stored_hash_prints_neither_salt_nor_tag_and_survives_serde() {
    let stored = hashed(&ANNA);
    let debug = format!("{stored:?}");
    let text = stored.to_string();
    for secret in text.rsplit('$').take(2) {
        assert!(!debug.contains(secret));
    }
    let json = serde_json::to_string(&stored).unwrap();
    assert_eq!(serde_json::from_str::<PasswordHash>(&json).unwrap(), stored);
}

proptest! {
    #[test]
    fn what_reads_as_a_stored_hash_writes_the_same_text(
        memory in 0_u32..200_000, passes in 0_u32..12, lanes in 0_u32..6,
        tail in "[A-Za-z0-9+/]{6}\\$[A-Za-z0-9+/]{22}\\$[A-Za-z0-9+/]{43}",
    ) {
        let text = format!("$argon2id$v=19$m={memory},t={passes},p={lanes},keyid={tail}");
        if let Ok(hash) = PasswordHash::parse(&text) {
            prop_assert_eq!(hash.to_string(), text);
            prop_assert!(hash.cost().memory_kib() <= Cost::MAX_MEMORY_KIB);
        }
    }

    #[test]
    fn a_password_is_in_its_one_form(text in "\\PC{0,140}") {
        if let Ok(form) = parsed(&text) {
            prop_assert_eq!(parsed(&form), Ok(form.clone()));
            prop_assert!((8..=128).contains(&form.chars().count()));
        }
    }
}
