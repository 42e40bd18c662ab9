//! The verifier against a document that AWS signed.
//!
//! The document is public test data of `evervault/attestation-doc-validation` and is not part of
//! this repository; where the folder beside the checkout is absent these tests say so and pass.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]
#![allow(
    clippy::disallowed_methods,
    reason = "the document is read from outside the repository"
)]

use std::path::Path;

use keyfold_attest::{
    Expectations, MAX_DOCUMENT_LEN, MeasurementPolicy, Measurements, Nonce, Pcr, TrustRoot,
    VerifyError, danger, verify,
};
use proptest::prelude::*;

const TIMESTAMP_MS: u64 = 1_665_651_482_136;
/// Two minutes later.
const NOW_MS: u64 = TIMESTAMP_MS + 120_000;

struct Genuine {
    document: Vec<u8>,
    nonce: Nonce,
    policy: MeasurementPolicy,
}

impl Genuine {
    fn load() -> Option<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../../shared/data/nitro/evervault-2022-10-13.cbor");
        let Ok(document) = std::fs::read(&path) else {
            eprintln!("skipped: there is no {}", path.display());
            return None;
        };
        let claimed = danger::inspect(&document).unwrap();
        let pcr = |index: u8| claimed.pcrs()[&index];
        let image = Measurements {
            pcr3: Some(pcr(3)),
            pcr4: Some(pcr(4)),
            pcr8: Some(pcr(8)),
            ..Measurements::of_image(pcr(0), pcr(1), pcr(2))
        };
        Some(Self {
            nonce: Nonce::new(claimed.nonce().unwrap()).unwrap(),
            policy: MeasurementPolicy::new(vec![image]),
            document,
        })
    }

    fn expect(&self) -> Expectations<'_> {
        Expectations::new(&self.nonce, NOW_MS, &self.policy)
    }

    /// What the verifier says of the document under other expectations.
    fn refusal<'a>(&'a self, change: impl FnOnce(&mut Expectations<'a>)) -> VerifyError {
        let mut expect = self.expect();
        change(&mut expect);
        verify(&self.document, &TrustRoot::aws_nitro(), &expect).unwrap_err()
    }

    fn refusal_of(&self, document: &[u8]) -> VerifyError {
        verify(document, &TrustRoot::aws_nitro(), &self.expect()).unwrap_err()
    }
}

fn flipped(pcr: Pcr) -> Pcr {
    let mut pcr = pcr;
    pcr[47] ^= 1;
    pcr
}

#[test]
fn a_genuine_document_is_accepted() {
    let Some(genuine) = Genuine::load() else {
        return;
    };
    let verified = verify(
        &genuine.document,
        &TrustRoot::aws_nitro(),
        &genuine.expect(),
    )
    .unwrap();
    assert_eq!(
        verified.module_id(),
        "i-020b6af9246d90e92-enc0183d09086c24190"
    );
    assert_eq!(verified.timestamp_ms(), TIMESTAMP_MS);
    assert_eq!(verified.valid_until_ms(), TIMESTAMP_MS + 3_600_000);
    assert_eq!(verified.nonce().as_bytes().len(), 256);
    assert_eq!(verified.public_key(), None);
    assert_eq!(verified.user_data(), None);
    assert_eq!(verified.pcrs().len(), 16);
    assert_eq!(
        hex_of(verified.pcr(0).unwrap()),
        "f4d48b81a460c9916d1e685119074bf24660afd3e34fae9fca0a0d28d9d5599936332687e6f66fc890ac8cf150142d8b"
    );
}

#[test]
fn a_genuine_document_with_the_tag_of_cose_sign1_is_accepted() {
    let Some(genuine) = Genuine::load() else {
        return;
    };
    let tagged = [&[0xd2], genuine.document.as_slice()].concat();
    assert!(verify(&tagged, &TrustRoot::aws_nitro(), &genuine.expect()).is_ok());
}

#[test]
fn a_genuine_document_with_another_tag_is_refused() {
    let Some(genuine) = Genuine::load() else {
        return;
    };
    for tag in [&[0xd1][..], &[0xd8, 98], &[0xd2, 0xd2]] {
        let tagged = [tag, &genuine.document].concat();
        assert!(matches!(
            genuine.refusal_of(&tagged),
            VerifyError::WrongTag | VerifyError::Cbor(_)
        ));
    }
}

#[test]
fn a_genuine_document_of_another_image_is_refused() {
    let Some(genuine) = Genuine::load() else {
        return;
    };
    let image = genuine.policy.allowed()[0].clone();
    let others = [
        Measurements {
            pcr0: flipped(image.pcr0),
            ..image.clone()
        },
        Measurements {
            pcr1: flipped(image.pcr1),
            ..image.clone()
        },
        Measurements {
            pcr2: flipped(image.pcr2),
            ..image.clone()
        },
        Measurements {
            pcr3: image.pcr3.map(flipped),
            ..image.clone()
        },
        Measurements {
            pcr4: image.pcr4.map(flipped),
            ..image.clone()
        },
        Measurements {
            pcr8: image.pcr8.map(flipped),
            ..image.clone()
        },
    ];
    for other in &others {
        let policy = MeasurementPolicy::new(vec![other.clone()]);
        let error = genuine.refusal(|expect| expect.policy = &policy);
        assert_eq!(error, VerifyError::MeasurementNotAllowed);
    }
    let none = MeasurementPolicy::new(Vec::new());
    assert_eq!(
        genuine.refusal(|expect| expect.policy = &none),
        VerifyError::MeasurementNotAllowed
    );
    let all = MeasurementPolicy::new(others.into_iter().chain([image]).collect());
    let expect = Expectations {
        policy: &all,
        ..genuine.expect()
    };
    assert!(verify(&genuine.document, &TrustRoot::aws_nitro(), &expect).is_ok());
}

#[test]
fn a_genuine_document_that_answers_a_previous_nonce_is_refused() {
    let Some(genuine) = Genuine::load() else {
        return;
    };
    let bytes = genuine.nonce.as_bytes();
    for other in [&[7; 32][..], &bytes[..255], &[bytes, &[0]].concat()] {
        let nonce = Nonce::new(other).unwrap();
        let error = genuine.refusal(|expect| expect.nonce = &nonce);
        assert_eq!(error, VerifyError::NonceMismatch);
    }
}

#[test]
fn a_genuine_document_from_another_time_is_refused() {
    let Some(genuine) = Genuine::load() else {
        return;
    };
    let at = |now_ms: u64| {
        let expect = Expectations {
            now_unix_ms: now_ms,
            ..genuine.expect()
        };
        verify(&genuine.document, &TrustRoot::aws_nitro(), &expect).err()
    };
    assert_eq!(at(TIMESTAMP_MS + 3_600_000), None);
    assert_eq!(at(TIMESTAMP_MS + 3_600_001), Some(VerifyError::TooOld));
    assert_eq!(at(TIMESTAMP_MS - 30_000), None);
    assert!(at(TIMESTAMP_MS - 30_001).is_some());
    // A day back, 90 days ahead, the ends of time.
    for now_ms in [
        TIMESTAMP_MS - 86_400_000,
        TIMESTAMP_MS + 90 * 86_400_000,
        0,
        u64::MAX,
    ] {
        assert!(at(now_ms).is_some());
    }
}

#[test]
fn the_ends_of_the_leaf_bound_any_tolerance() {
    let Some(genuine) = Genuine::load() else {
        return;
    };
    // The leaf is valid from 08:57:59 to 11:58:02 that day.
    let (first_second, last_second) = (1_665_651_479_u64, 1_665_662_282_u64);
    let at = |now_unix_ms: u64, max_future_ms: u64| {
        let expect = Expectations {
            now_unix_ms,
            max_age_ms: u64::MAX,
            max_future_ms,
            ..genuine.expect()
        };
        verify(&genuine.document, &TrustRoot::aws_nitro(), &expect)
    };
    let verified = at(last_second * 1000, 0).unwrap();
    assert_eq!(verified.valid_until_ms(), last_second * 1000);
    let expired = VerifyError::CertificateExpired { position: 4 };
    assert_eq!(at((last_second + 1) * 1000, 0).unwrap_err(), expired);
    assert_eq!(
        at(first_second * 1000, 0).unwrap_err(),
        VerifyError::FromTheFuture
    );
    let not_yet = VerifyError::CertificateNotYetValid { position: 4 };
    assert_eq!(at((first_second - 1) * 1000, 0).unwrap_err(), not_yet);
}

#[test]
fn a_genuine_document_is_refused_by_another_root() {
    // Any certificate that is not the root serves; the development issuer's tests go further.
    let Some(genuine) = Genuine::load() else {
        return;
    };
    let claimed = danger::inspect(&genuine.document).unwrap();
    for der in &claimed.cabundle()[1..] {
        assert!(TrustRoot::from_der(der).is_err());
    }
}

#[test]
fn a_genuine_document_without_the_expected_realm_is_refused() {
    let Some(genuine) = Genuine::load() else {
        return;
    };
    let error = genuine.refusal(|expect| expect.pcr16 = Some([0; 48]));
    assert_eq!(error, VerifyError::PcrMissing(16));
}

#[test]
fn a_genuine_document_with_any_flipped_bit_is_refused() {
    let Some(genuine) = Genuine::load() else {
        return;
    };
    let mut document = genuine.document.clone();
    for byte in 0..document.len() {
        let bit = 1 << (byte % 8);
        document[byte] ^= bit;
        genuine.refusal_of(&document);
        document[byte] ^= bit;
    }
}

#[test]
fn a_genuine_document_cut_short_or_with_bytes_after_it_is_refused() {
    let Some(genuine) = Genuine::load() else {
        return;
    };
    for len in 0..genuine.document.len() {
        genuine.refusal_of(&genuine.document[..len]);
    }
    let mut longer = genuine.document.clone();
    longer.push(0);
    genuine.refusal_of(&longer);
    longer.resize(MAX_DOCUMENT_LEN + 1, 0);
    let len = longer.len();
    assert_eq!(
        genuine.refusal_of(&longer),
        VerifyError::DocumentTooLarge { len }
    );
}

/// A byte string as one piece, or cut into chunks.
fn bytes(content: &[u8], chunk: Option<usize>) -> Vec<u8> {
    let whole = |content: &[u8]| match u16::try_from(content.len()).unwrap() {
        len @ 0..24 => [&[0x40 | len as u8], content].concat(),
        len @ 24..256 => [&[0x58, len as u8], content].concat(),
        len => [&[0x59], &len.to_be_bytes()[..], content].concat(),
    };
    match chunk {
        None => whole(content),
        Some(len) => {
            let chunks = content.chunks(len).flat_map(whole);
            [0x5f].into_iter().chain(chunks).chain([0xff]).collect()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The envelope is not signed, what it holds is: AWS's document in other spellings is AWS's.
    #[test]
    fn a_genuine_document_is_accepted_in_every_spelling_of_its_envelope(
        tagged in any::<bool>(),
        array in any::<bool>(),
        map in any::<bool>(),
        chunks in prop::array::uniform3(prop::option::of(1usize..5_000)),
    ) {
        if let Some(genuine) = Genuine::load() {
            // 84 44 a1013822 a0 59 hhhh payload 58 60 signature
            let (head, tail) = genuine.document.split_at(10);
            prop_assert_eq!(&head[..8], [0x84, 0x44, 0xa1, 1, 0x38, 0x22, 0xa0, 0x59]);
            let (payload, signature) = tail.split_at(tail.len() - 98);
            let document = [
                if tagged { vec![0xd2] } else { Vec::new() },
                vec![if array { 0x9f } else { 0x84 }],
                bytes(&head[2..6], chunks[0]),
                if map { vec![0xbf, 0xff] } else { vec![0xa0] },
                bytes(payload, chunks[1]),
                bytes(&signature[2..], chunks[2]),
                if array { vec![0xff] } else { Vec::new() },
            ]
            .concat();
            let verdict = verify(&document, &TrustRoot::aws_nitro(), &genuine.expect());
            prop_assert!(verdict.is_ok(), "{verdict:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_genuine_document_with_a_part_overwritten_is_refused(
        at in any::<prop::sample::Index>(),
        with in prop::collection::vec(any::<u8>(), 1..24),
        remove in 0usize..24,
    ) {
        if let Some(genuine) = Genuine::load() {
            let start = at.index(genuine.document.len());
            let end = (start + remove).min(genuine.document.len());
            let mut document = genuine.document.clone();
            document.splice(start..end, with);
            if document != genuine.document {
                genuine.refusal_of(&document);
            }
        }
    }
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
