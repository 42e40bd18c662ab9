//! Attestation documents.

use std::sync::OnceLock;

use keyfold_attest::{
    Expectations, MAX_CHAIN_LEN, MAX_DOCUMENT_LEN, MeasurementPolicy, Measurements, Nonce,
    TrustRoot, VerifiedDocument, danger,
};
use keyfold_crypto::testing::SeededRng;
use keyfold_platform_dev::issuer::{Certified, DevIssuer, IssueRequest};

use crate::fixtures::NOW;
use crate::reached;

const NOW_MS: u64 = NOW * 1000;

/// A development root, an enclave certified by it, and what a verifier expects of that enclave.
pub(crate) struct Genuine {
    pub(crate) certified: Certified,
    root: TrustRoot,
    nonce: Nonce,
    policy: MeasurementPolicy,
    request: IssueRequest,
}

pub(crate) fn genuine() -> &'static Genuine {
    static GENUINE: OnceLock<Genuine> = OnceLock::new();
    GENUINE.get_or_init(|| {
        let mut rng = SeededRng::new(10);
        let issuer = DevIssuer::generate(&mut rng, NOW_MS).expect("a root");
        let request = IssueRequest {
            module_id: "i-0123456789abcdef0-enc0123456789abcdef".to_owned(),
            timestamp_ms: NOW_MS - 1000,
            pcrs: (0..=4).chain([8, 16]).map(|i| (i, [i + 1; 48])).collect(),
            nonce: Some(vec![0xa5; 32]),
            user_data: Some(b"user data".to_vec()),
            public_key: Some(vec![4; 65]),
        };
        let certified = issuer.draft(&request).certify(&mut rng).expect("a chain");
        Genuine {
            certified,
            root: TrustRoot::from_der(issuer.root_der()).expect("a root"),
            nonce: Nonce::new(&[0xa5; 32]).expect("a nonce"),
            policy: MeasurementPolicy::new(vec![Measurements::of_image([1; 48], [2; 48], [3; 48])]),
            request,
        }
    })
}

impl Genuine {
    fn verify(&self, document: &[u8]) -> Option<VerifiedDocument> {
        let expect = Expectations::new(&self.nonce, NOW_MS, &self.policy).with_pcr16([17; 48]);
        keyfold_attest::verify(document, &self.root, &expect).ok()
    }

    pub(crate) fn root_der(&self) -> &[u8] {
        self.root.der()
    }
}

/// A document that is read stays within its limits; a root that is taken is kept byte for byte.
pub fn inspect(data: &[u8]) {
    if let Ok(document) = danger::inspect(data) {
        assert!(data.len() <= MAX_DOCUMENT_LEN);
        assert!(!document.module_id().is_empty());
        assert!((1..=32).contains(&document.pcrs().len()));
        let bundle = document.cabundle();
        assert!((1..MAX_CHAIN_LEN).contains(&bundle.len()));
        let read: usize = bundle.iter().map(Vec::len).sum::<usize>()
            + document.certificate().len()
            + document.module_id().len()
            + document.public_key().map_or(0, <[u8]>::len)
            + document.user_data().map_or(0, <[u8]>::len)
            + document.nonce().map_or(0, <[u8]>::len);
        assert!(read < data.len());
        reached();
    }
    if let Ok(root) = TrustRoot::from_der(data) {
        assert_eq!(root.der(), data);
    }
}

/// Whatever verifies under the root says what its enclave said: nothing else was ever signed.
pub fn verify(data: &[u8]) {
    let genuine = genuine();
    let Some(verified) = genuine.verify(data) else {
        return;
    };
    reached();
    let said = &genuine.request;
    assert_eq!(verified.module_id(), said.module_id);
    assert_eq!(verified.timestamp_ms(), said.timestamp_ms);
    assert_eq!(verified.pcrs(), &said.pcrs);
    assert_eq!(verified.public_key(), said.public_key.as_deref());
    assert_eq!(verified.user_data(), said.user_data.as_deref());
}

/// A payload with a good signature verifies only if it answers the nonce with trusted
/// measurements at a believable time; and what was verified is what stands in it.
pub fn payload(data: &[u8]) {
    let genuine = genuine();
    let document = genuine.certified.seal_payload(data);
    let Some(verified) = genuine.verify(&document) else {
        return;
    };
    reached();
    let read = danger::inspect(&document).expect("verified, so well-formed");
    assert_eq!(verified.module_id(), read.module_id());
    assert_eq!(verified.timestamp_ms(), read.timestamp_ms());
    assert_eq!(verified.pcrs(), read.pcrs());
    assert_eq!(verified.public_key(), read.public_key());
    assert_eq!(verified.user_data(), read.user_data());
    assert_eq!(read.nonce(), Some(genuine.nonce.as_bytes()));
    for (index, value) in [(0, 1), (1, 2), (2, 3), (16, 17)] {
        assert_eq!(verified.pcr(index), Some(&[value; 48]));
    }
    assert!(read.timestamp_ms() <= NOW_MS + keyfold_attest::DEFAULT_MAX_FUTURE_MS);
    assert!(read.timestamp_ms() >= NOW_MS - keyfold_attest::DEFAULT_MAX_AGE_MS);
    assert!(verified.valid_until_ms() >= NOW_MS);
    assert_eq!(
        read.cabundle().first().map(Vec::as_slice),
        Some(genuine.root.der())
    );
}
