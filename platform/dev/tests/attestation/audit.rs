//! Judging a document that somebody else asked for: what may be left out, and what never is.

use std::collections::BTreeMap;

use keyfold_attest::audit::{AuditedDocument, Code, Demands, examine};
use keyfold_attest::{MeasurementPolicy, Nonce, TrustRoot, VerifyError, VerifyError::*, danger};

use crate::world::{NONCE, NOW_MS, World};

impl World {
    fn examine(
        &self,
        document: &[u8],
        demands: &Demands<'_>,
    ) -> Result<AuditedDocument, VerifyError> {
        examine(document, &self.root, demands)
    }

    fn debug(&mut self) -> Vec<u8> {
        self.drafted(|it| {
            for index in 0..=2 {
                it.request.pcrs.insert(index, [0; 48]);
            }
        })
    }
}

#[test]
fn without_a_nonce_a_document_is_examined_and_nothing_says_that_it_is_fresh() {
    let mut world = World::new();
    for nonce in [None, Some(NONCE.to_vec()), Some(Vec::new())] {
        let document = world.drafted(|it| it.request.nonce = nonce);
        let audited = world.examine(&document, &Demands::new(NOW_MS)).unwrap();
        assert!(!audited.answers_nonce());
        assert_eq!(audited.content().user_data(), Some(&b"user data"[..]));
        assert_eq!(audited.valid_until_ms(), NOW_MS + 3_600_000);
    }
}

#[test]
fn a_nonce_that_is_demanded_must_be_answered() {
    let mut world = World::new();
    let document = world.sound();
    let without = world.drafted(|it| it.request.nonce = None);
    let demands = |nonce| Demands {
        nonce: Some(nonce),
        ..Demands::new(NOW_MS)
    };
    let audited = world.examine(&document, &demands(&world.nonce)).unwrap();
    assert!(audited.answers_nonce());
    let other = Nonce::new(b"another").unwrap();
    for (document, nonce, error) in [
        (&document, &other, NonceMismatch),
        (&without, &other, NonceMissing),
    ] {
        assert_eq!(world.examine(document, &demands(nonce)).unwrap_err(), error);
    }
}

#[test]
fn every_register_that_is_demanded_must_be_there_and_match() {
    let mut world = World::new();
    let document = world.sound();
    let verdict = |pcrs: &[(u8, [u8; 48])]| {
        let demands = Demands {
            pcrs: pcrs.iter().copied().collect(),
            ..Demands::new(NOW_MS)
        };
        world.examine(&document, &demands).err()
    };
    let sound = [(0, [0xa0; 48]), (2, [0xa2; 48]), (3, [0; 48])];
    assert_eq!(verdict(&sound), None);
    for (index, error) in [
        (0, PcrMismatch(0)),
        (3, PcrMismatch(3)),
        (16, Pcr16Mismatch),
        (5, PcrMissing(5)),
        (31, PcrMissing(31)),
        (255, PcrMissing(255)),
    ] {
        let mut demanded = BTreeMap::from(sound);
        demanded.insert(index, [0xbb; 48]);
        let demanded: Vec<_> = demanded.into_iter().collect();
        assert_eq!(verdict(&demanded), Some(error), "{index}");
    }
}

#[test]
fn user_data_and_key_that_are_demanded_must_be_there_and_match() {
    let mut world = World::new();
    let document = world.sound();
    let without = world.drafted(|it| {
        it.request.user_data = None;
        it.request.public_key = None;
    });
    let empty = world.drafted(|it| it.request.user_data = Some(Vec::new()));
    let verdict = |document: &[u8], user_data, public_key| {
        let demands = Demands {
            user_data,
            public_key,
            ..Demands::new(NOW_MS)
        };
        world.examine(document, &demands).err()
    };
    let (data, key) = (Some(&b"user data"[..]), Some(&b"public key"[..]));
    let (data_error, key_error) = (Some(UserDataMismatch), Some(PublicKeyMismatch));
    assert_eq!(verdict(&document, data, key), None);
    assert_eq!(verdict(&document, Some(b"user dat"), None), data_error);
    assert_eq!(verdict(&document, None, Some(b"public kex")), key_error);
    assert_eq!(verdict(&without, data, None), data_error);
    assert_eq!(verdict(&without, None, key), key_error);
    assert_eq!(verdict(&empty, Some(b""), None), None);
    assert_eq!(verdict(&without, Some(b""), None), data_error);
}

#[test]
fn an_enclave_in_debug_mode_is_refused_until_that_is_allowed() {
    let mut world = World::new();
    let debug = world.debug();
    let partly = world.drafted(|it| {
        it.request.pcrs.insert(1, [0; 48]);
    });
    let verdict = |document: &[u8], code| {
        let demands = Demands {
            code,
            ..Demands::new(NOW_MS)
        };
        world.examine(document, &demands).err()
    };
    let allowed = Code::Any { allow_debug: true };
    let refused = Code::Any { allow_debug: false };
    assert_eq!(verdict(&debug, refused), Some(DebugMode));
    assert_eq!(verdict(&debug, allowed), None);
    // No boot leaves one register of zeros and extends the others.
    assert_eq!(verdict(&partly, allowed), Some(DebugMode));
    let listed = MeasurementPolicy::new(Vec::new());
    assert_eq!(verdict(&debug, Code::OneOf(&listed)), Some(DebugMode));
    for (document, shown) in [(&debug, true), (&partly, true), (&world.sound(), false)] {
        let document = danger::inspect(document).unwrap();
        assert_eq!(document.claims_debug(), shown);
    }
}

#[test]
fn a_list_of_images_is_as_strict_as_for_everybody() {
    let mut world = World::new();
    let document = world.sound();
    let none = MeasurementPolicy::new(Vec::new());
    let verdict = |policy| {
        let demands = Demands {
            code: Code::OneOf(policy),
            ..Demands::new(NOW_MS)
        };
        world.examine(&document, &demands).err()
    };
    assert_eq!(verdict(&world.policy), None);
    assert_eq!(verdict(&none), Some(MeasurementNotAllowed));
}

#[test]
fn time_chain_root_and_signature_are_always_checked() {
    let mut world = World::new();
    let document = world.sound();
    let anything = |now_unix_ms| Demands {
        code: Code::Any { allow_debug: true },
        ..Demands::new(now_unix_ms)
    };
    let at = |now| world.examine(&document, &anything(now)).err();
    assert_eq!(at(NOW_MS + 3_600_000), None);
    assert_eq!(at(NOW_MS + 3_600_001), Some(TooOld));
    assert_eq!(
        at(NOW_MS + 86_400_000),
        Some(CertificateExpired { position: 4 })
    );
    assert_eq!(
        at(NOW_MS - 30_001),
        Some(CertificateNotYetValid { position: 4 })
    );
    let aws = examine(&document, &TrustRoot::aws_nitro(), &anything(NOW_MS));
    assert_eq!(aws.unwrap_err(), RootMismatch);
    let mut forged = document.clone();
    *forged.last_mut().unwrap() ^= 1;
    let forged = world.examine(&forged, &anything(NOW_MS));
    assert_eq!(forged.unwrap_err(), Signature);
}

#[test]
fn what_certificates_say_is_shown_and_what_is_none_as_well() {
    let mut world = World::new();
    let document = world.certified(|it| it.bundle.push(b"no certificate".to_vec()));
    let shown = danger::inspect(&document).unwrap().certificates();
    assert_eq!(shown.len(), 6);
    let content = |index: usize| shown[index].content.as_ref();
    let (root, region, leaf) = (
        content(0).unwrap(),
        content(1).unwrap(),
        content(5).unwrap(),
    );
    assert_eq!(shown[0].sha256, world.root.fingerprint());
    assert_eq!(root.subject, root.issuer);
    assert_eq!(region.issuer, root.subject);
    assert!(leaf.subject.contains("i-0123456789abcdef0"), "{leaf:?}");
    assert_eq!(leaf.not_after_seconds, NOW_MS / 1000 + 3 * 60 * 60);
    assert!(leaf.not_before_seconds < NOW_MS / 1000);
    assert_eq!(content(4), None);
}
