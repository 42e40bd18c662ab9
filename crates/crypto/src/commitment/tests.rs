use super::*;
use crate::{
    hash::sha256,
    shamir::{Threshold, split},
    testing::SeededRng,
};

fn context(index: u8) -> ShareContext {
    ShareContext {
        realm: [1; 32],
        project: "project".to_owned(),
        account: "account".to_owned(),
        key: "0a".to_owned(),
        purpose: SharePurpose::LeafKey,
        index,
        generation: 1,
    }
}

fn committed(seed: u64) -> (CommittedShare, ShareCommitment) {
    let mut rng = SeededRng::new(seed);
    let share = split(&[9; 32], Threshold::new(2, 3).unwrap(), &mut rng)
        .unwrap()
        .remove(1);
    CommittedShare::new(&context(2), share, &mut rng).unwrap()
}

#[test]
fn an_honest_share_opens() {
    let (share, commitment) = committed(1);
    let expected = share.share.duplicate();
    assert_eq!(share.verify(&context(2), &commitment), Ok(()));
    assert_eq!(share.open(&context(2), &commitment), Ok(expected));
}

#[test]
fn the_hash_is_that_of_the_documented_encoding() {
    let (share, commitment) = committed(1);
    let encoding = share.opening.expose(|opening| {
        share.share.data().expose(|data| {
            Encoder::new("keyfold/share-commitment/v1")
                .nested(&context(2))
                .u8(2)
                .fixed(opening)
                .bytes(data)
                .finish()
        })
    });
    assert_eq!(commitment.0, sha256(&encoding));
    assert_eq!(hex::encode(context(2).digest()), CONTEXT_PIN);
}

/// Computed from the documented encoding with Python. If it changes, holders no longer accept the
/// shares they have.
const CONTEXT_PIN: &str = "e80eb18be05eebec211b9557b79901b0c7ead43510bd0823231210b8480f6672";

#[test]
fn every_altered_bit_of_a_share_is_noticed() {
    let (share, commitment) = committed(1);
    let bytes = share.to_bytes().expose(<[u8]>::to_vec);
    for bit in 0..bytes.len() * 8 {
        let mut altered = bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let accepted = CommittedShare::from_bytes(&altered)
            .is_ok_and(|share| share.verify(&context(2), &commitment).is_ok());
        assert!(!accepted, "bit {bit}");
    }
    for other in [&bytes[..bytes.len() - 1], &[&bytes[..], &[0]].concat()] {
        let share = CommittedShare::from_bytes(other).unwrap();
        assert_eq!(
            share.verify(&context(2), &commitment),
            Err(CommitmentError::Mismatch)
        );
    }
}

#[test]
fn a_share_of_another_context_is_refused() {
    let (share, commitment) = committed(1);
    let good = context(2);
    for other in [
        ShareContext {
            realm: [2; 32],
            ..good.clone()
        },
        ShareContext {
            project: "other".to_owned(),
            ..good.clone()
        },
        ShareContext {
            account: "other".to_owned(),
            ..good.clone()
        },
        ShareContext {
            key: "0b".to_owned(),
            ..good.clone()
        },
        ShareContext {
            purpose: SharePurpose::Entropy,
            ..good.clone()
        },
        ShareContext {
            purpose: SharePurpose::Seed,
            ..good.clone()
        },
        ShareContext {
            generation: 2,
            ..good.clone()
        },
        // The border between two fields moved.
        ShareContext {
            project: "projecta".to_owned(),
            account: "ccount".to_owned(),
            ..good
        },
    ] {
        assert_eq!(
            share.verify(&other, &commitment),
            Err(CommitmentError::Mismatch),
            "{other:?}"
        );
    }
    assert_eq!(
        share.verify(&context(1), &commitment),
        Err(CommitmentError::IndexMismatch)
    );
}

#[test]
fn a_share_of_another_holder_cannot_be_committed_to() {
    let share = committed(1).0.share;
    let refused = CommittedShare::new(&context(3), share, &mut SeededRng::new(1));
    assert_eq!(refused.unwrap_err(), CommitmentError::IndexMismatch);
}

#[test]
fn the_opening_hides_a_share_that_could_be_guessed() {
    // The same share, committed to twice.
    let mut rng = SeededRng::new(1);
    let share = committed(1).0.share;
    let (_, first) = CommittedShare::new(&context(2), share.duplicate(), &mut rng).unwrap();
    let (_, second) = CommittedShare::new(&context(2), share, &mut rng).unwrap();
    assert_ne!(first, second);
}

#[test]
fn bytes_come_back() {
    let (share, _) = committed(1);
    let bytes = share.to_bytes();
    assert_eq!(bytes.len(), 34 + 32);
    assert_eq!(bytes.expose(CommittedShare::from_bytes).unwrap(), share);
}

#[test]
fn malformed_bytes_are_refused_for_their_reason() {
    let read = |bytes: &[u8]| CommittedShare::from_bytes(bytes).unwrap_err();
    assert_eq!(read(&[]), CommittedShareError::Truncated);
    assert_eq!(read(&[1]), CommittedShareError::Truncated);
    assert_eq!(read(&[1; 33]), CommittedShareError::Truncated);
    assert_eq!(
        read(&[1; 34]),
        CommittedShareError::Share(ShareError::Length)
    );
    assert_eq!(read(&[2; 66]), CommittedShareError::Version);
    let mut zero = [1; 66];
    zero[1] = 0;
    assert_eq!(
        read(&zero),
        CommittedShareError::Share(ShareError::ZeroIndex)
    );
    let long = vec![1; 34 + crate::shamir::MAX_SECRET_BYTES + 1];
    assert_eq!(read(&long), CommittedShareError::Share(ShareError::Length));
}

#[test]
fn context_and_commitment_have_a_json_form() {
    let (_, commitment) = committed(1);
    let json = serde_json::to_string(&(context(2), commitment)).unwrap();
    assert!(json.contains(r#""purpose":"leaf_key""#), "{json}");
    let read: (ShareContext, ShareCommitment) = serde_json::from_str(&json).unwrap();
    assert_eq!(read, (context(2), commitment));
}

#[test]
fn debug_prints_nothing_of_the_share() {
    let (share, _) = committed(1);
    let printed = format!("{share:?}");
    assert!(printed.matches("[redacted]").count() == 2, "{printed}");
}
