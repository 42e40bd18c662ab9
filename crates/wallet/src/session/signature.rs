//! The bytes that a session manager gets as a sapient signature (format section 5.3).

use alloy_primitives::{Address, B256};

use super::{Attestation, SessionDecodeError, SessionTopology, SessionTreeError};
use crate::bytes::{Reader, push_uint};
use crate::{EcdsaSignature, Encoding};

/// Most attestations in one signature: the index has seven bits.
pub const MAX_ATTESTATIONS: usize = 0x7f;
const MAX_TREE: usize = 0xff_ffff;
const IMPLICIT: u8 = 0x80;

/// An attestation and the identity signer's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedAttestation {
    /// What was said.
    pub attestation: Attestation,
    /// The signature over [`Attestation::hash`].
    pub signature: EcdsaSignature,
}

/// A session key's signature of one call, as it stands in the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallSignature {
    /// By a key with permissions in the tree.
    Explicit {
        /// Which of its permissions the call uses, at most 127.
        permission: u8,
        /// The signature over [`call_hash`].
        signature: EcdsaSignature,
    },
    /// By a key that an attestation names.
    Implicit {
        /// Which of the attestations, at most 127.
        attestation: u8,
        /// The signature over [`call_hash`].
        signature: EcdsaSignature,
    },
}

/// A session signature, read: the visible tree, attestations, one signature for each call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSignature {
    /// The tree, cut down to what is needed.
    pub topology: SessionTopology,
    /// The attestations that implicit calls refer to.
    pub attestations: Vec<SignedAttestation>,
    /// One for each call of the payload, in order.
    pub calls: Vec<CallSignature>,
}

/// What a session key contributes for one call, before attestations are numbered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignedCall {
    /// By a key with permissions in the tree.
    Explicit {
        /// Which of its permissions the call uses.
        permission: u8,
        /// The signature over [`call_hash`].
        signature: EcdsaSignature,
    },
    /// By a key that an attestation names.
    Implicit {
        /// The attestation, signed.
        attestation: Box<SignedAttestation>,
        /// The signature over [`call_hash`].
        signature: EcdsaSignature,
    },
}

/// Why a session signature cannot be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionEncodeError {
    /// The tree is refused, or cannot be expressed.
    #[error(transparent)]
    Tree(#[from] SessionTreeError),
    /// More than [`MAX_ATTESTATIONS`].
    #[error("there are more than {MAX_ATTESTATIONS} attestations")]
    TooManyAttestations,
    /// A permission or attestation index that does not fit, or names nothing.
    #[error("a call refers to permission or attestation {0}, which is out of range")]
    IndexOutOfRange(u8),
    /// A field longer than its length can say.
    #[error("a part of the session signature is too long")]
    TooLong,
    /// The identity signer is not in the tree.
    #[error("{0} is no identity signer of the tree")]
    UnknownIdentitySigner(Address),
}

/// Computes what a session key signs for one call of a payload.
///
/// `payload_hash` is [`crate::Payload::op_hash`] for the wallet.
#[must_use]
pub fn call_hash(payload_hash: &B256, call_index: usize) -> B256 {
    crate::bytes::hash_pair(payload_hash, &crate::bytes::word(call_index as u64))
}

impl SessionSignature {
    /// Puts a signature together: numbers the attestations, each once, and hides what the calls
    /// do not need of the tree.
    ///
    /// `explicit_signers` are the keys of the explicit calls; `encoding` is that of
    /// [`SessionTopology::minimised`].
    ///
    /// # Errors
    /// [`SessionEncodeError`].
    pub fn new(
        topology: &SessionTopology,
        calls: &[SignedCall],
        explicit_signers: &[Address],
        identity_signer: &Address,
        encoding: Encoding,
    ) -> Result<Self, SessionEncodeError> {
        let implicit = calls
            .iter()
            .any(|call| matches!(call, SignedCall::Implicit { .. }));
        let shown = (explicit_signers, implicit);
        Self::with_visible(topology, calls, shown, identity_signer, encoding)
    }

    /// As [`SessionSignature::new`], but says whether the blacklist stays visible.
    ///
    /// # Errors
    /// [`SessionEncodeError`].
    pub fn with_visible(
        topology: &SessionTopology,
        calls: &[SignedCall],
        (explicit_signers, blacklist): (&[Address], bool),
        identity_signer: &Address,
        encoding: Encoding,
    ) -> Result<Self, SessionEncodeError> {
        if !topology.identity_signers().contains(identity_signer) {
            return Err(SessionEncodeError::UnknownIdentitySigner(*identity_signer));
        }
        let mut attestations: Vec<SignedAttestation> = Vec::new();
        let mut numbered = Vec::with_capacity(calls.len());
        for call in calls {
            numbered.push(match call {
                SignedCall::Explicit {
                    permission,
                    signature,
                } => CallSignature::Explicit {
                    permission: *permission,
                    signature: *signature,
                },
                SignedCall::Implicit {
                    attestation,
                    signature,
                } => {
                    let same = |one: &SignedAttestation| one.attestation == attestation.attestation;
                    let index = attestations.iter().position(same).unwrap_or_else(|| {
                        attestations.push(SignedAttestation::clone(attestation));
                        attestations.len() - 1
                    });
                    let index = u8::try_from(index)
                        .ok()
                        .filter(|index| usize::from(*index) < MAX_ATTESTATIONS)
                        .ok_or(SessionEncodeError::TooManyAttestations)?;
                    CallSignature::Implicit {
                        attestation: index,
                        signature: *signature,
                    }
                }
            });
        }
        Ok(Self {
            topology: topology.minimised(explicit_signers, blacklist, identity_signer, encoding)?,
            attestations,
            calls: numbered,
        })
    }

    /// Encodes the signature.
    ///
    /// # Errors
    /// [`SessionEncodeError`].
    pub fn encode(&self, encoding: Encoding) -> Result<Vec<u8>, SessionEncodeError> {
        let tree = self.topology.encode(encoding)?;
        if tree.len() > MAX_TREE {
            return Err(SessionEncodeError::TooLong);
        }
        let attestations = u8::try_from(self.attestations.len())
            .map_err(|_| SessionEncodeError::TooManyAttestations)?;
        let mut out = Vec::with_capacity(tree.len() + 4 + self.calls.len() * 65);
        push_uint(&mut out, tree.len() as u64, 3);
        out.extend_from_slice(&tree);
        out.push(attestations);
        for signed in &self.attestations {
            let packed = signed
                .attestation
                .pack(encoding)
                .ok_or(SessionEncodeError::TooLong)?;
            out.extend_from_slice(&packed);
            out.extend_from_slice(&signed.signature.to_compact());
        }
        for call in &self.calls {
            let (flag, signature) = match call {
                CallSignature::Explicit {
                    permission,
                    signature,
                } if *permission < IMPLICIT => (*permission, signature),
                CallSignature::Implicit {
                    attestation,
                    signature,
                } if *attestation < IMPLICIT && *attestation < attestations => {
                    (IMPLICIT | attestation, signature)
                }
                CallSignature::Explicit {
                    permission: index, ..
                }
                | CallSignature::Implicit {
                    attestation: index, ..
                } => {
                    return Err(SessionEncodeError::IndexOutOfRange(*index));
                }
            };
            out.push(flag);
            out.extend_from_slice(&signature.to_compact());
        }
        Ok(out)
    }

    /// Reads the signature of a payload with `call_count` calls.
    ///
    /// # Security
    /// For untrusted bytes: every read is checked, and nothing may follow the last call. Nothing
    /// is verified here; see [`super::recover`].
    ///
    /// # Errors
    /// [`SessionDecodeError`] names the first defect.
    pub fn decode(bytes: &[u8], call_count: usize) -> Result<Self, SessionDecodeError> {
        let mut reader = Reader::new(bytes);
        let tree = reader.sized(3).ok_or(SessionDecodeError::Truncated)?;
        let topology = SessionTopology::decode(tree)?;
        let count = reader.byte().ok_or(SessionDecodeError::Truncated)?;
        if count > 0 && topology.blacklist().is_none() {
            return Err(SessionDecodeError::AttestationWithoutBlacklist);
        }
        let mut attestations = Vec::new();
        for _ in 0..count {
            attestations.push(SignedAttestation {
                attestation: Attestation::read(&mut reader).ok_or(SessionDecodeError::Truncated)?,
                signature: ecdsa(&mut reader)?,
            });
        }
        let mut calls = Vec::new();
        for _ in 0..call_count {
            let flag = reader.byte().ok_or(SessionDecodeError::Truncated)?;
            let signature = ecdsa(&mut reader)?;
            calls.push(if flag & IMPLICIT == 0 {
                CallSignature::Explicit {
                    permission: flag,
                    signature,
                }
            } else {
                let attestation = flag & !IMPLICIT;
                if usize::from(attestation) >= attestations.len() {
                    return Err(SessionDecodeError::UnknownFlag(flag));
                }
                CallSignature::Implicit {
                    attestation,
                    signature,
                }
            });
        }
        if !reader.is_empty() {
            return Err(SessionDecodeError::TrailingBytes);
        }
        Ok(Self {
            topology,
            attestations,
            calls,
        })
    }
}

fn ecdsa(reader: &mut Reader<'_>) -> Result<EcdsaSignature, SessionDecodeError> {
    let bytes = reader.take(64).ok_or(SessionDecodeError::Truncated)?;
    let bytes = bytes
        .first_chunk::<64>()
        .ok_or(SessionDecodeError::Truncated)?;
    EcdsaSignature::from_compact(bytes).ok_or(SessionDecodeError::InvalidEcdsa)
}
