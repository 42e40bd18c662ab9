//! A security module in software: registers in memory, documents from the development issuer.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use keyfold_attest::{Measurements, Pcr, extend};
use keyfold_enclave::{AttestRequest, PlatformError};
use keyfold_enclave_runtime::SecurityModule;

use crate::issuer::{DevIssuer, IssueRequest, IssuerError, Module};

const LEAF_LIFE_MS: u64 = 2 * 60 * 60 * 1000;
const PCR16: u8 = 16;

/// A stand-in for the Nitro security module.
///
/// # Security
///
/// Proves nothing about the process it runs in: whoever has the issuer's key can claim any
/// measurement. Only verifiers that were given this issuer's root accept its documents.
pub struct DevModule {
    issuer: DevIssuer,
    id: String,
    state: Mutex<State>,
}

struct State {
    pcrs: BTreeMap<u8, Pcr>,
    pcr16_locked: bool,
    /// The certified leaf with the time it was made; leaves live three hours.
    leaf: Option<(Module, u64)>,
}

impl DevModule {
    /// Makes a module that claims these measurements.
    pub fn new(issuer: DevIssuer, id: impl Into<String>, measured: &Measurements) -> Self {
        let mut pcrs: BTreeMap<u8, Pcr> = (0..PCR16 + 1).map(|index| (index, [0; 48])).collect();
        pcrs.insert(0, measured.pcr0);
        pcrs.insert(1, measured.pcr1);
        pcrs.insert(2, measured.pcr2);
        for (index, value) in [(3, measured.pcr3), (4, measured.pcr4), (8, measured.pcr8)] {
            if let Some(value) = value {
                pcrs.insert(index, value);
            }
        }
        let state = State {
            pcrs,
            pcr16_locked: false,
            leaf: None,
        };
        Self {
            issuer,
            id: id.into(),
            state: Mutex::new(state),
        }
    }

    fn document(&self, request: AttestRequest<'_>) -> Result<Vec<u8>, IssuerError> {
        let timestamp_ms = now_ms();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let issue = IssueRequest {
            module_id: self.id.clone(),
            timestamp_ms,
            pcrs: state.pcrs.clone(),
            nonce: Some(request.nonce.to_vec()),
            user_data: Some(request.user_data.to_vec()),
            public_key: Some(request.public_key.to_vec()),
        };
        if let Some((leaf, made)) = &state.leaf
            && timestamp_ms.saturating_sub(*made) < LEAF_LIFE_MS
        {
            return Ok(leaf.attest(&issue));
        }
        let leaf = self
            .issuer
            .certify_module(&self.id, timestamp_ms, &mut UnwrapErr(SysRng))?;
        let document = leaf.attest(&issue);
        state.leaf = Some((leaf, timestamp_ms));
        Ok(document)
    }
}

impl SecurityModule for DevModule {
    fn random(&self, out: &mut [u8]) -> Result<(), PlatformError> {
        getrandom::fill(out).map_err(|_| PlatformError::Random)
    }

    fn attest(&self, request: AttestRequest<'_>) -> Result<Vec<u8>, PlatformError> {
        self.document(request).map_err(|_| PlatformError::Attest)
    }

    fn extend_pcr16_and_lock(&self, data: &[u8]) -> Result<(), PlatformError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.pcr16_locked {
            return Err(PlatformError::Pcr);
        }
        let extended = extend(state.pcrs.get(&PCR16).copied().unwrap_or([0; 48]), data);
        state.pcrs.insert(PCR16, extended);
        state.pcr16_locked = true;
        Ok(())
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
