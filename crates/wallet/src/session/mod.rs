//! Session keys: keys that may act for a wallet within limits (format section 5).
//!
//! An *explicit* session has its permissions in the tree; an *implicit* one is attested by the
//! tree's identity signer, and each contract that it calls decides for itself. The wallet's
//! configuration holds the tree's root in a sapient leaf of the session manager.
//!
//! Pure, like the rest of the crate: the chain is a [`SessionReader`].

mod attestation;
mod edit;
mod json;
mod limits;
mod permission;
mod recover;
mod signature;
mod topology;
mod wire;

#[cfg(test)]
mod tests;

pub use attestation::Attestation;
pub use limits::{INCREMENT_USAGE_LIMIT, PlannedCall, UsageLimit, increment_call, increment_data};
pub use permission::{
    Comparison, MAX_PERMISSIONS, MAX_RULES, Permission, Rule, SessionPermissions, rule_usage_hash,
    value_usage_hash,
};
pub use recover::{
    CallRule, SessionError, SessionReader, SessionRequest, recover, recover_encoded,
};
pub use signature::{
    CallSignature, MAX_ATTESTATIONS, SessionEncodeError, SessionSignature, SignedAttestation,
    SignedCall, call_hash,
};
pub use topology::{MAX_BLACKLIST, MAX_SESSION_DEPTH, SessionTopology, SessionTreeError};
pub use wire::SessionDecodeError;
