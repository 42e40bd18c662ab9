use proptest::prelude::*;

use super::*;
use crate::testing::SeededRng;

const PLACE: Aad<'static> = Aad {
    table: "shares",
    row: b"row",
    column: "sealed",
    version: 3,
};

fn key(byte: u8) -> MasterKey {
    MasterKey::new(Secret::from_array([byte; 32]))
}

fn sealed(ring: &KeyRing) -> Vec<u8> {
    ring.seal(&PLACE, b"a share", &mut SeededRng::new(1))
        .unwrap()
}

#[test]
fn the_format_does_not_change_unnoticed() {
    let envelope = sealed(&KeyRing::new(key(7)));
    assert_eq!(envelope.len(), b"a share".len() + OVERHEAD_BYTES);
    assert_eq!(envelope[0], 1);
    assert_eq!(envelope[1..9], key(7).id().0);
    assert_eq!(hex::encode(hash::sha256(&envelope)), FORMAT_PIN);
}

/// SHA-256 of the envelope above, computed from the documented format with other libraries
/// (Python, Node.js). If it changes, stored envelopes no longer open.
const FORMAT_PIN: &str = "a63fdcd7e82a08a155dbad4f793fd3faac68e6d410ccde868f3749bd0451b902";

#[test]
fn another_place_does_not_open() {
    let ring = KeyRing::new(key(7));
    let envelope = sealed(&ring);
    assert_eq!(
        ring.open(&PLACE, &envelope).unwrap(),
        SecretBytes::from_slice(b"a share")
    );
    for other in [
        Aad {
            table: "share",
            ..PLACE
        },
        Aad {
            row: b"rox",
            ..PLACE
        },
        Aad {
            column: "",
            ..PLACE
        },
        Aad {
            version: 2,
            ..PLACE
        },
        Aad {
            version: 4,
            ..PLACE
        },
        // What joins to the same text is not the same place.
        Aad {
            table: "sharesr",
            row: b"ow",
            ..PLACE
        },
    ] {
        assert_eq!(
            ring.open(&other, &envelope),
            Err(OpenError::Altered),
            "{other:?}"
        );
    }
}

#[test]
fn every_altered_bit_is_noticed() {
    let ring = KeyRing::new(key(7));
    let envelope = sealed(&ring);
    for bit in 0..envelope.len() * 8 {
        let mut altered = envelope.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(ring.open(&PLACE, &altered).is_err(), "bit {bit}");
    }
    for len in 0..envelope.len() {
        assert!(ring.open(&PLACE, &envelope[..len]).is_err(), "{len} bytes");
    }
    assert!(ring.open(&PLACE, &[&envelope[..], &[0]].concat()).is_err());
}

#[test]
fn swapped_key_id_does_not_open_under_the_other_key() {
    let ring = KeyRing::new(key(8)).with_older(key(7));
    let mut envelope = sealed(&KeyRing::new(key(7)));
    envelope[1..9].copy_from_slice(&key(8).id().0);
    assert_eq!(ring.open(&PLACE, &envelope), Err(OpenError::Altered));
}

#[test]
fn old_keys_open_and_only_the_current_one_seals() {
    let old = sealed(&KeyRing::new(key(7)));
    let ring = KeyRing::new(key(9)).with_older(key(8)).with_older(key(7));
    assert!(ring.open(&PLACE, &old).is_ok());
    assert_eq!(ring.needs_reseal(&old), Ok(true));
    let new = sealed(&ring);
    assert_eq!(new[1..9], key(9).id().0);
    assert_eq!(ring.needs_reseal(&new), Ok(false));
    assert_eq!(
        KeyRing::new(key(9)).open(&PLACE, &old),
        Err(OpenError::UnknownKey(key(7).id()))
    );
}

#[test]
fn sizes_and_versions_out_of_range_are_refused() {
    let ring = KeyRing::new(key(7));
    let mut rng = SeededRng::new(1);
    let largest = vec![1; MAX_PLAINTEXT_BYTES];
    let mut envelope = ring.seal(&PLACE, &largest, &mut rng).unwrap();
    assert_eq!(
        ring.open(&PLACE, &envelope).unwrap().len(),
        MAX_PLAINTEXT_BYTES
    );
    envelope.push(0);
    assert_eq!(ring.open(&PLACE, &envelope), Err(OpenError::Format));
    assert_eq!(
        ring.seal(&PLACE, &vec![1; MAX_PLAINTEXT_BYTES + 1], &mut rng),
        Err(SealError)
    );
    let mut future = sealed(&ring);
    future[0] = 2;
    assert_eq!(ring.open(&PLACE, &future), Err(OpenError::Format));
    assert_eq!(ring.needs_reseal(&future), Err(OpenError::Format));
    assert_eq!(ring.needs_reseal(&[]), Err(OpenError::Format));
}

#[test]
fn the_same_bytes_sealed_twice_differ() {
    let ring = KeyRing::new(key(7));
    let mut rng = SeededRng::new(1);
    assert_ne!(
        ring.seal(&PLACE, b"x", &mut rng),
        ring.seal(&PLACE, b"x", &mut rng)
    );
}

#[test]
fn derived_keys_differ_by_key_label_and_context() {
    let keys = [
        key(7).derive("a", b"b"),
        key(8).derive("a", b"b"),
        key(7).derive("b", b"b"),
        key(7).derive("a", b""),
        key(7).derive("ab", b""),
        key(7).derive("", b"ab"),
        key(7).to_secret(),
    ];
    for (position, one) in keys.iter().enumerate() {
        for other in &keys[position + 1..] {
            assert_ne!(one, other);
        }
    }
    assert_eq!(key(7).derive("a", b"b"), keys[0]);
}

#[test]
fn debug_prints_nothing_of_the_key() {
    let printed = format!("{:?}", KeyRing::new(key(0xab)).with_older(key(0xcd)));
    assert!(printed.contains("[redacted]"));
    assert!(
        !printed.contains("abab") && !printed.contains("171, 171"),
        "{printed}"
    );
}

proptest! {
    #[test]
    fn what_was_sealed_opens(
        plaintext in proptest::collection::vec(any::<u8>(), 0..200),
        row in proptest::collection::vec(any::<u8>(), 0..20),
        version: u64,
        seed: u64,
    ) {
        let mut rng = SeededRng::new(seed);
        let ring = KeyRing::new(MasterKey::generate(&mut rng));
        let place = Aad { row: &row, version, ..PLACE };
        let envelope = ring.seal(&place, &plaintext, &mut rng).unwrap();
        prop_assert_eq!(
            ring.open(&place, &envelope).unwrap(),
            SecretBytes::from_slice(&plaintext)
        );
    }

    #[test]
    fn arbitrary_bytes_do_not_open(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        prop_assert!(KeyRing::new(key(7)).open(&PLACE, &bytes).is_err());
    }
}
