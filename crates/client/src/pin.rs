//! What a program must know before it speaks to anybody.

use keyfold_attest::{MeasurementPolicy, TrustRoot};
use keyfold_protocol::ids::{Digest32, RealmId};
use keyfold_protocol::realm::RootKind;

/// The realm, the root of its enclaves' documents, and the code they may run.
///
/// # Security
///
/// It comes with the program or from its operator, never from the gateway: everything else is
/// verified against it.
#[derive(Debug, Clone)]
pub struct RealmPin {
    /// The realm's id: the hash of its record.
    pub realm: RealmId,
    /// Who signs attestation documents.
    pub root: TrustRoot,
    /// Which measured code is trusted.
    pub policy: MeasurementPolicy,
}

impl RealmPin {
    /// Tells whether a realm record speaks of the pinned root.
    pub(crate) fn names_root(&self, kind: RootKind) -> bool {
        match kind {
            RootKind::AwsNitro => self.root == TrustRoot::aws_nitro(),
            RootKind::Development { certificate_sha256 } => {
                certificate_sha256 == Digest32::from_bytes(self.root.fingerprint())
            }
        }
    }
}
