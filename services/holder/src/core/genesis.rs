//! Whether a realm record is one that this holder agrees to.

use keyfold_attest::TrustRoot;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::ids::Digest32;
use keyfold_protocol::realm::{HolderCard, RealmError, RealmRecord, RootKind};

use crate::error::Coded;

/// Says why a realm record was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GenesisRefusal {
    #[error(transparent)]
    Record(#[from] RealmError),
    #[error("the record does not name this holder as its card says")]
    NotAHolder,
    #[error("the record names another root of attestation than this holder trusts")]
    WrongRoot,
    #[error("this record was not proposed to this holder")]
    NotProposed,
    #[error("this holder already belongs to a realm")]
    RealmExists,
}

impl Coded for GenesisRefusal {
    fn code(&self) -> Code {
        match self {
            Self::RealmExists => Code::RealmExists,
            _ => Code::RealmInvalid,
        }
    }
}

/// Checks the shape, the root, and that this holder is in it; returns the holder's index.
///
/// # Security
///
/// The whole card is compared: a record with our signing key and somebody else's HPKE or TLS key
/// is not ours.
pub(crate) fn own_index(
    record: &RealmRecord,
    card: &HolderCard,
    root: &TrustRoot,
) -> Result<u8, GenesisRefusal> {
    record.check_shape()?;
    let ours = if *root == TrustRoot::aws_nitro() {
        RootKind::AwsNitro
    } else {
        RootKind::Development {
            certificate_sha256: Digest32::from_bytes(root.fingerprint()),
        }
    };
    if record.root != ours {
        return Err(GenesisRefusal::WrongRoot);
    }
    record
        .holders
        .iter()
        .position(|holder| holder == card)
        .and_then(|at| u8::try_from(at + 1).ok())
        .ok_or(GenesisRefusal::NotAHolder)
}
