//! The chain from the trusted root to the key that signed the document.

use crate::certificate::Certificate;
use crate::ecdsa::PublicKey;
use crate::error::VerifyError;
use crate::root::TrustRoot;

/// The leaf's key, and how long the chain lasts.
pub(crate) struct Leaf {
    pub(crate) key: PublicKey,
    /// The last second at which every certificate is valid, since 1970.
    pub(crate) valid_until_seconds: u64,
}

/// Verifies a chain at a given time.
///
/// The bundle is the chain, in order and complete: it begins with the root, and each certificate
/// was issued by the one before it. So nothing can be reordered, left out or added.
///
/// Specification: RFC 5280, section 6, for a chain without policies and name constraints (a
/// critical extension that asks for more is refused).
pub(crate) fn verify(
    bundle: &[Vec<u8>],
    leaf: &[u8],
    root: &TrustRoot,
    now_seconds: u64,
) -> Result<Leaf, VerifyError> {
    let Some((first, intermediates)) = bundle.split_first() else {
        return Err(VerifyError::ChainLength);
    };
    if first.as_slice() != root.der() {
        return Err(VerifyError::RootMismatch);
    }
    let mut issuer = Certificate::parse(root.der(), 0)?;
    issuer.check_validity(now_seconds, 0)?;
    issuer.check_authority(0, intermediates.len())?;
    let mut valid_until_seconds = issuer.not_after_seconds();

    let mut position = 0;
    for der in intermediates {
        position += 1;
        let authority = Certificate::parse(der, position)?;
        authority.check_issued_by(&issuer, position)?;
        // Otherwise the root could stand in the chain a second time.
        authority.check_not_self_issued(position)?;
        authority.check_validity(now_seconds, position)?;
        authority.check_authority(position, intermediates.len() - position)?;
        valid_until_seconds = valid_until_seconds.min(authority.not_after_seconds());
        issuer = authority;
    }

    position += 1;
    let leaf = Certificate::parse(leaf, position)?;
    leaf.check_issued_by(&issuer, position)?;
    leaf.check_validity(now_seconds, position)?;
    leaf.check_leaf(position)?;
    Ok(Leaf {
        key: *leaf.key(),
        valid_until_seconds: valid_until_seconds.min(leaf.not_after_seconds()),
    })
}
