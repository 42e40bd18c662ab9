//! Whose documents are verified, and registration of those that hold.

use keyfold_protocol::holder_api::{Register, Registered};
use keyfold_protocol::registration::AttestedBinding;
use keyfold_protocol::registry::{FreshNonce, NotVerified};

use super::Guard;

pub(super) const NO_REALMS: &str = "this guard serves no realm, so it answers nobody: add the \
    realm's id to `realms` in its configuration and start it again";

/// Says why a registration was refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum RegisterError {
    #[error("{NO_REALMS}")]
    NoRealms,
    #[error("this guard does not serve the instance's realm")]
    OtherRealm,
    #[error(transparent)]
    NotVerified(#[from] NotVerified),
}

/// A document worth verifying: it answers a nonce of ours and is of a realm that is served.
pub(super) struct Candidate {
    nonce: FreshNonce,
    attested: AttestedBinding,
}

impl Candidate {
    pub(super) fn of(guard: &Guard, request: Register, now_ms: u64) -> Result<Self, RegisterError> {
        if guard.realms.is_empty() {
            return Err(RegisterError::NoRealms);
        }
        // An instance outside every realm has nothing to ask a guard either.
        let realm = request.attested.binding.realm;
        if !realm.is_some_and(|realm| guard.realms.contains(&realm)) {
            return Err(RegisterError::OtherRealm);
        }
        let nonce = guard
            .registry
            .check(request.nonce, now_ms)
            .map_err(NotVerified::from)?;
        Ok(Self {
            nonce,
            attested: request.attested,
        })
    }

    /// Verifies the document and registers its instance. Blocks.
    pub(super) fn register(self, guard: &Guard, now_ms: u64) -> Result<Registered, RegisterError> {
        let (registry, trust) = (&guard.registry, &guard.trust);
        let verified = registry.verify(
            self.nonce,
            &self.attested,
            &trust.root,
            &trust.policy,
            now_ms,
        )?;
        let instance = verified.id;
        let expires_ms = match registry.unchanged(&verified, now_ms) {
            Some(expires_ms) => expires_ms,
            None => registry.insert(verified, now_ms),
        };
        let expires = expires_ms / 1000;
        Ok(Registered { instance, expires })
    }
}
