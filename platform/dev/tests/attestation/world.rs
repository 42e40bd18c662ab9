//! An issuer, a sound document and a verifier that accepts it.

use std::collections::BTreeMap;
use std::convert::Infallible;

use keyfold_attest::{
    Expectations, MeasurementPolicy, Measurements, Nonce, Pcr, TrustRoot, VerifiedDocument,
    VerifyError, extend, verify,
};
use keyfold_platform_dev::issuer::{Certified, DevIssuer, Draft, IssueRequest, cbor};
use rand_core::{TryCryptoRng, TryRng};

/// 2026-01-01 12:00:00 UTC.
pub(crate) const NOW_MS: u64 = 1_767_268_800_000;
pub(crate) const NONCE: &[u8] = b"0123456789abcdef0123456789abcdef";

pub(crate) struct World {
    pub(crate) issuer: DevIssuer,
    pub(crate) root: TrustRoot,
    pub(crate) nonce: Nonce,
    pub(crate) policy: MeasurementPolicy,
    pub(crate) realm: Pcr,
    pub(crate) rng: Sequence,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_seed(1)
    }

    pub(crate) fn with_seed(seed: u64) -> Self {
        let mut rng = Sequence(seed);
        let issuer = DevIssuer::generate(&mut rng, NOW_MS).unwrap();
        Self {
            root: TrustRoot::from_der(issuer.root_der()).unwrap(),
            nonce: Nonce::new(NONCE).unwrap(),
            policy: MeasurementPolicy::new(vec![image()]),
            realm: extend([0; 48], b"the realm"),
            issuer,
            rng,
        }
    }

    pub(crate) fn request(&self) -> IssueRequest {
        let image = image();
        IssueRequest {
            module_id: "i-0123456789abcdef0-enc0123456789abcdef".to_owned(),
            timestamp_ms: NOW_MS,
            pcrs: BTreeMap::from([
                (0, image.pcr0),
                (1, image.pcr1),
                (2, image.pcr2),
                (3, [0; 48]),
                (16, self.realm),
            ]),
            nonce: Some(NONCE.to_vec()),
            user_data: Some(b"user data".to_vec()),
            public_key: Some(b"public key".to_vec()),
        }
    }

    pub(crate) fn expect(&self) -> Expectations<'_> {
        Expectations::new(&self.nonce, NOW_MS, &self.policy).with_pcr16(self.realm)
    }

    pub(crate) fn verify(&self, document: &[u8]) -> Result<VerifiedDocument, VerifyError> {
        verify(document, &self.root, &self.expect())
    }

    pub(crate) fn refusal(&self, document: &[u8]) -> VerifyError {
        self.verify(document).unwrap_err()
    }

    pub(crate) fn sound(&mut self) -> Vec<u8> {
        self.issuer.issue(&self.request(), &mut self.rng).unwrap()
    }

    /// A document whose request, authorities or leaf were changed before anything was signed.
    pub(crate) fn drafted(&mut self, change: impl FnOnce(&mut Draft<'_>)) -> Vec<u8> {
        let mut draft = self.issuer.draft(&self.request());
        change(&mut draft);
        draft.certify(&mut self.rng).unwrap().seal()
    }

    /// What an emulator claims: no certificates, and what else was changed.
    pub(crate) fn emulated(&mut self, change: impl FnOnce(&mut Draft<'_>)) -> Certified {
        let mut draft = self.issuer.draft(&self.request());
        change(&mut draft);
        let mut claims = draft.certify(&mut self.rng).unwrap();
        let zeros = cbor::bytes(&[0; 64]);
        *claims.claim_mut("certificate").unwrap() = zeros.clone();
        *claims.claim_mut("cabundle").unwrap() = cbor::array(&[zeros]);
        claims
    }

    /// A document whose bundle or fields were changed before the document was signed.
    pub(crate) fn certified(&mut self, change: impl FnOnce(&mut Certified)) -> Vec<u8> {
        let mut certified = self
            .issuer
            .draft(&self.request())
            .certify(&mut self.rng)
            .unwrap();
        change(&mut certified);
        certified.seal()
    }
}

pub(crate) fn header(entries: &[(i64, i64)]) -> Vec<u8> {
    let entries: Vec<_> = entries
        .iter()
        .map(|(label, value)| (cbor::integer(*label), cbor::integer(*value)))
        .collect();
    cbor::map(&entries, false)
}

/// A document as an emulator writes it: nobody signed, and zeros stand where certificates belong.
pub(crate) fn emulated(claims: &Certified, algorithm: i64, signature: Vec<u8>) -> Vec<u8> {
    cbor::array(&[
        cbor::bytes(&header(&[(1, algorithm)])),
        header(&[]),
        cbor::bytes(&claims.payload()),
        signature,
    ])
}

pub(crate) fn image() -> Measurements {
    Measurements::of_image([0xa0; 48], [0xa1; 48], [0xa2; 48])
}

/// A sequence that is the same in every run (SplitMix64). For tests alone.
pub(crate) struct Sequence(pub(crate) u64);

impl TryRng for Sequence {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.try_next_u64()? as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(z ^ (z >> 31))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for chunk in out.chunks_mut(8) {
            let next = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&next[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Sequence {}
