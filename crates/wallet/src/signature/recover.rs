//! From a read signature to the weight behind it and the configuration it belongs to, by the
//! rules of the contracts.

use alloy_primitives::{Address, B256, U256};

use super::decode::{Chunk, Decoded, Item, SignerData};
use super::{EcdsaSignature, StaticApproval, eth_sign_hash};
use crate::bytes::hash_pair;
use crate::config::hash;
use crate::payload::{ANY_CHAIN, Payload, PayloadBody};

/// What recovery has to ask others: elliptic curves and, for contracts, the chain.
///
/// A closure `Fn(&B256, &EcdsaSignature) -> Option<Address>` is enough for wallets whose signers
/// are keys.
pub trait Recover {
    /// Returns the address whose key made the signature over `hash`.
    fn ecrecover(&self, hash: &B256, signature: &EcdsaSignature) -> Option<Address>;

    /// Asks a contract's `isValidSignature`. `None` if contracts cannot be asked.
    fn erc1271(&self, _signer: &Address, _hash: &B256, _data: &[u8]) -> Option<bool> {
        None
    }

    /// Asks a contract's `recoverSapientSignature`. `None` if it cannot be asked or refuses.
    fn sapient(&self, _signer: &Address, _request: &Request<'_>, _data: &[u8]) -> Option<B256> {
        None
    }

    /// Asks a contract's `recoverSapientSignatureCompact`. `None` as above.
    fn sapient_compact(&self, _signer: &Address, _hash: &B256, _data: &[u8]) -> Option<B256> {
        None
    }

    /// Reads the approval that the wallet stored for a hash. `None` if it cannot be read.
    fn static_approval(&self, _wallet: &Address, _op_hash: &B256) -> Option<StaticApproval> {
        None
    }

    /// Asks a checkpointer for its snapshot: image hash (zero: silent) and checkpoint.
    fn snapshot(&self, _checkpointer: &Address, _data: &[u8]) -> Option<(B256, U256)> {
        None
    }
}

impl<F: Fn(&B256, &EcdsaSignature) -> Option<Address>> Recover for F {
    fn ecrecover(&self, hash: &B256, signature: &EcdsaSignature) -> Option<Address> {
        self(hash, signature)
    }
}

/// What is being signed, where, by which wallet.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What is signed.
    pub payload: &'a Payload,
    /// The wallet asked.
    pub wallet: Address,
    /// The chain, or [`ANY_CHAIN`].
    pub chain_id: u64,
}

impl Request<'_> {
    fn op_hash(&self) -> B256 {
        self.payload.op_hash(&self.wallet, self.chain_id)
    }
}

/// What a signature proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The hash that the newest configuration's signers signed.
    pub op_hash: B256,
    /// Weight of the valid signatures.
    pub weight: U256,
    /// Weight to reach, as the signature shows it.
    pub threshold: u16,
    /// Hash of the configuration shown: must be the wallet's.
    pub image_hash: B256,
    /// Version of that configuration.
    pub checkpoint: u64,
}

/// Why a signature proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// The weight does not reach the threshold.
    #[error("the signatures weigh {weight}, the threshold is {threshold}")]
    InsufficientWeight {
        /// Weight to reach.
        threshold: u16,
        /// Weight reached.
        weight: U256,
    },
    /// An ECDSA signature yields no address.
    #[error("an ECDSA signature yields no address")]
    InvalidEcdsa,
    /// A contract refused, or cannot be asked here.
    #[error("the contract {0} did not confirm its signature")]
    ContractSigner(Address),
    /// The checkpointer cannot be asked here.
    #[error("the checkpointer {0} did not answer")]
    Checkpointer(Address),
    /// The checkpointer knows a newer configuration.
    #[error("the checkpointer knows a newer configuration")]
    UnusedSnapshot,
    /// Checkpoints of a chain do not decrease.
    #[error("the checkpoints of a chain do not decrease")]
    CheckpointOrder,
    /// Weights add up to more than 256 bits, as after an approved digest.
    #[error("the weights add up to more than 256 bits")]
    WeightOverflow,
    /// The approval is stored in the wallet: only the chain knows. See
    /// [`super::recover_static`].
    #[error("a static signature can only be checked on chain")]
    Static,
    /// There is no stored approval, or its time is over.
    #[error("no static approval, or it has expired")]
    StaticExpired,
    /// The stored approval is for another caller.
    #[error("the static approval is for {0} alone")]
    StaticWrongCaller(Address),
}

/// Verifies a signature's parts and its weight.
///
/// # Security
/// The caller must still compare [`Recovered::image_hash`] with the wallet's: anybody can make a
/// valid signature of a configuration of their own. The threshold is covered by that hash.
///
/// # Errors
/// [`RecoverError`]; [`RecoverError::InsufficientWeight`] if the threshold is not reached.
pub fn recover(
    request: &Request<'_>,
    signature: &Decoded,
    verifier: &impl Recover,
) -> Result<Recovered, RecoverError> {
    let recovered = recover_partial(request, signature, verifier)?;
    check_weight(&recovered)?;
    Ok(recovered)
}

/// Verifies a signature's parts, and says what they weigh, be it enough or not.
///
/// For those who collect signatures, and for what a part of the signers may do alone, such as
/// cancelling a recovery. In a chain that is what the newest configuration's signers weigh; each link
/// before it must have the weight that it needs.
///
/// # Security
/// As [`recover`]; and the caller must compare the weight with what it asks for.
///
/// # Errors
/// [`RecoverError`].
pub fn recover_partial(
    request: &Request<'_>,
    signature: &Decoded,
    verifier: &impl Recover,
) -> Result<Recovered, RecoverError> {
    match signature {
        Decoded::Static { .. } => Err(RecoverError::Static),
        Decoded::Single(chunk) => single(request, chunk, verifier),
        Decoded::Chained {
            checkpointer,
            chunks,
        } => {
            let snapshot = match checkpointer {
                Some((address, data)) => Some(snapshot(address, data, verifier)?),
                None => None,
            };
            chained(
                request,
                checkpointer.as_ref().map(|(a, _)| *a),
                snapshot,
                chunks,
                verifier,
            )
        }
    }
}

/// A checkpointer's answer; `None` where it is silent.
type Snapshot = Option<(B256, U256)>;

fn snapshot(
    checkpointer: &Address,
    data: &[u8],
    verifier: &impl Recover,
) -> Result<Snapshot, RecoverError> {
    let answer = verifier
        .snapshot(checkpointer, data)
        .ok_or(RecoverError::Checkpointer(*checkpointer))?;
    Ok(Some(answer).filter(|(image_hash, _)| !image_hash.is_zero()))
}

fn check_weight(recovered: &Recovered) -> Result<(), RecoverError> {
    if recovered.weight < U256::from(recovered.threshold) {
        return Err(RecoverError::InsufficientWeight {
            threshold: recovered.threshold,
            weight: recovered.weight,
        });
    }
    Ok(())
}

fn single(
    request: &Request<'_>,
    chunk: &Chunk,
    verifier: &impl Recover,
) -> Result<Recovered, RecoverError> {
    let known = match (&chunk.checkpointer, &chunk.checkpointer_data) {
        (Some(address), Some(data)) => snapshot(address, data, verifier)?,
        _ => None,
    };
    let recovered = one(request, chunk, chunk.checkpointer, verifier)?;
    match known {
        Some((image_hash, checkpoint))
            if image_hash != recovered.image_hash
                && U256::from(recovered.checkpoint) <= checkpoint =>
        {
            Err(RecoverError::UnusedSnapshot)
        }
        _ => Ok(recovered),
    }
}

fn chained(
    request: &Request<'_>,
    checkpointer: Option<Address>,
    snapshot: Option<Snapshot>,
    chunks: &[Chunk],
    verifier: &impl Recover,
) -> Result<Recovered, RecoverError> {
    let mut known = snapshot.flatten();
    let mut newer: Option<Recovered> = None;
    for (index, chunk) in chunks.iter().enumerate() {
        let last = index + 1 == chunks.len();
        let shown = if last {
            checkpointer
        } else {
            chunk.checkpointer
        };
        let mut recovered = match newer {
            None => one(request, chunk, shown, verifier)?,
            Some(newer) => {
                let payload = Payload::from(PayloadBody::ConfigUpdate(newer.image_hash));
                let update = Request {
                    payload: &payload,
                    ..*request
                };
                one(&update, chunk, shown, verifier)?
            }
        };
        if let Some(newer) = newer {
            check_weight(&recovered)?;
            if recovered.checkpoint >= newer.checkpoint {
                return Err(RecoverError::CheckpointOrder);
            }
            // What the newest signers say, and what they weigh; the rest is of the oldest.
            recovered.op_hash = newer.op_hash;
            recovered.weight = newer.weight;
            recovered.threshold = newer.threshold;
        }
        if known.is_some_and(|(image_hash, _)| image_hash == recovered.image_hash) {
            known = None;
        }
        newer = Some(recovered);
    }
    let recovered = newer.ok_or(RecoverError::CheckpointOrder)?;
    match known {
        Some((_, checkpoint)) if U256::from(recovered.checkpoint) <= checkpoint => {
            Err(RecoverError::UnusedSnapshot)
        }
        _ => Ok(recovered),
    }
}

fn one(
    request: &Request<'_>,
    chunk: &Chunk,
    checkpointer: Option<Address>,
    verifier: &impl Recover,
) -> Result<Recovered, RecoverError> {
    let chain_id = if chunk.no_chain_id {
        ANY_CHAIN
    } else {
        request.chain_id
    };
    let request = Request {
        chain_id,
        ..*request
    };
    let op_hash = request.op_hash();
    let tree = Tree {
        request,
        op_hash,
        verifier,
    };
    let (weight, root) = tree.fold(&chunk.items)?;
    Ok(Recovered {
        op_hash,
        weight,
        threshold: chunk.threshold,
        image_hash: hash::image_hash(&root, chunk.threshold, chunk.checkpoint, checkpointer),
        checkpoint: chunk.checkpoint,
    })
}

struct Tree<'a, V> {
    request: Request<'a>,
    op_hash: B256,
    verifier: &'a V,
}

impl<V: Recover> Tree<'_, V> {
    fn fold(&self, items: &[Item]) -> Result<(U256, B256), RecoverError> {
        let mut root: Option<B256> = None;
        let mut total = U256::ZERO;
        for item in items {
            let (weight, node) = self.item(item)?;
            total = match item {
                // An approved digest sets the weight, it does not add to it.
                Item::Subdigest(_) | Item::AnyAddressSubdigest(_) if weight == U256::MAX => weight,
                _ => total
                    .checked_add(weight)
                    .ok_or(RecoverError::WeightOverflow)?,
            };
            root = Some(root.map_or(node, |root| hash_pair(&root, &node)));
        }
        Ok((total, root.unwrap_or_default()))
    }

    fn item(&self, item: &Item) -> Result<(U256, B256), RecoverError> {
        match item {
            Item::Signer { weight, data } => self.signer(*weight, data),
            Item::Sapient {
                weight,
                address,
                data,
                compact,
            } => {
                let answer = if *compact {
                    self.verifier.sapient_compact(address, &self.op_hash, data)
                } else {
                    self.verifier.sapient(address, &self.request, data)
                };
                let image_hash = answer.ok_or(RecoverError::ContractSigner(*address))?;
                Ok((
                    U256::from(*weight),
                    hash::sapient_leaf(address, *weight, &image_hash),
                ))
            }
            Item::Node(node) => Ok((U256::ZERO, *node)),
            Item::Subdigest(digest) => Ok((
                approved(digest == &self.op_hash),
                hash::subdigest_leaf(digest),
            )),
            Item::AnyAddressSubdigest(digest) => {
                let anywhere = Request {
                    wallet: Address::ZERO,
                    ..self.request
                }
                .op_hash();
                Ok((
                    approved(digest == &anywhere),
                    hash::any_address_subdigest_leaf(digest),
                ))
            }
            Item::Branch(items) => self.fold(items),
            Item::Nested {
                weight,
                threshold,
                items,
            } => {
                let (inner, root) = self.fold(items)?;
                let reached = inner >= U256::from(*threshold);
                let counted = if reached {
                    U256::from(*weight)
                } else {
                    U256::ZERO
                };
                Ok((counted, hash::nested_leaf(&root, *threshold, *weight)))
            }
        }
    }

    fn signer(&self, weight: u8, data: &SignerData) -> Result<(U256, B256), RecoverError> {
        let (address, signed) = match data {
            SignerData::Unsigned(address) => (*address, false),
            SignerData::EcdsaHash(signature) => (self.key(&self.op_hash, signature)?, true),
            SignerData::EthSign(signature) => {
                (self.key(&eth_sign_hash(&self.op_hash), signature)?, true)
            }
            SignerData::Erc1271(address, data) => {
                if self.verifier.erc1271(address, &self.op_hash, data) != Some(true) {
                    return Err(RecoverError::ContractSigner(*address));
                }
                (*address, true)
            }
        };
        let counted = if signed {
            U256::from(weight)
        } else {
            U256::ZERO
        };
        Ok((counted, hash::signer_leaf(&address, weight)))
    }

    fn key(&self, hash: &B256, signature: &EcdsaSignature) -> Result<Address, RecoverError> {
        self.verifier
            .ecrecover(hash, signature)
            .filter(|address| !address.is_zero())
            .ok_or(RecoverError::InvalidEcdsa)
    }
}

fn approved(matches: bool) -> U256 {
    if matches { U256::MAX } else { U256::ZERO }
}
