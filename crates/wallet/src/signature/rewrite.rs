//! From a read signature back to bytes.

use super::encode::{
    EncodeError, FLAG_CHAINED, FLAG_CHECKPOINTER, FLAG_NO_CHAIN_ID, FLAG_STATIC, Head, TAG_ADDRESS,
    TAG_ANY_ADDRESS, TAG_ERC1271, TAG_ETH_SIGN, TAG_HASH, TAG_NODE, TAG_SAPIENT,
    TAG_SAPIENT_COMPACT, TAG_SUBDIGEST, push_branch, push_contract, push_hash, push_nested,
    push_sized, push_weight4,
};
use super::{Chunk, Decoded, Item, SignerData};
use crate::Encoding;

impl Decoded {
    /// Encodes the signature. What is read again is the same.
    ///
    /// # Errors
    /// [`EncodeError`] for what the format cannot express.
    pub fn encode(&self, encoding: Encoding) -> Result<Vec<u8>, EncodeError> {
        match self {
            Self::Static { no_chain_id: false } => Ok(vec![FLAG_STATIC]),
            Self::Static { no_chain_id: true } => Ok(vec![FLAG_STATIC | FLAG_NO_CHAIN_ID]),
            Self::Single(chunk) => write_chunk(chunk, encoding),
            Self::Chained {
                checkpointer,
                chunks,
            } => {
                let mut out = vec![FLAG_CHAINED];
                if let Some((address, data)) = checkpointer {
                    out = vec![FLAG_CHAINED | FLAG_CHECKPOINTER];
                    out.extend_from_slice(address.as_slice());
                    push_sized(&mut out, data, 3)?;
                }
                if chunks.is_empty() {
                    return Err(EncodeError::EmptyChain);
                }
                for chunk in chunks {
                    push_sized(&mut out, &write_chunk(chunk, encoding)?, 3)?;
                }
                Ok(out)
            }
        }
    }
}

fn write_chunk(chunk: &Chunk, encoding: Encoding) -> Result<Vec<u8>, EncodeError> {
    if chunk.checkpoint >= crate::config::CHECKPOINT_LIMIT {
        return Err(EncodeError::CheckpointTooLarge);
    }
    let data = chunk.checkpointer_data.as_ref().map(AsRef::as_ref);
    let head = Head {
        no_chain_id: chunk.no_chain_id,
        checkpointer: chunk.checkpointer.map(|address| (address, data)),
        checkpoint: chunk.checkpoint,
        threshold: chunk.threshold,
    };
    let mut out = head.encode(encoding)?;
    write_items(&mut out, &chunk.items, encoding)?;
    Ok(out)
}

fn write_items(out: &mut Vec<u8>, items: &[Item], encoding: Encoding) -> Result<(), EncodeError> {
    for item in items {
        match item {
            Item::Signer { weight, data } => match data {
                SignerData::Unsigned(address) => {
                    push_weight4(out, TAG_ADDRESS, *weight);
                    out.extend_from_slice(address.as_slice());
                }
                SignerData::EcdsaHash(signature) => {
                    push_weight4(out, TAG_HASH, *weight);
                    out.extend_from_slice(&signature.to_compact());
                }
                SignerData::EthSign(signature) => {
                    push_weight4(out, TAG_ETH_SIGN, *weight);
                    out.extend_from_slice(&signature.to_compact());
                }
                SignerData::Erc1271(address, data) => {
                    push_contract(out, TAG_ERC1271, address, *weight, data, encoding)?;
                }
            },
            Item::Sapient {
                weight,
                address,
                data,
                compact,
            } => {
                let tag = if *compact {
                    TAG_SAPIENT_COMPACT
                } else {
                    TAG_SAPIENT
                };
                push_contract(out, tag, address, *weight, data, encoding)?;
            }
            Item::Node(hash) => push_hash(out, TAG_NODE, hash.as_slice()),
            Item::Subdigest(digest) => push_hash(out, TAG_SUBDIGEST, digest.as_slice()),
            Item::AnyAddressSubdigest(digest) => {
                push_hash(out, TAG_ANY_ADDRESS, digest.as_slice());
            }
            Item::Branch(items) => {
                let mut inner = Vec::new();
                write_items(&mut inner, items, encoding)?;
                push_branch(out, &inner)?;
            }
            Item::Nested {
                weight,
                threshold,
                items,
            } => {
                let mut inner = Vec::new();
                write_items(&mut inner, items, encoding)?;
                push_nested(out, *weight, *threshold, &inner)?;
            }
        }
    }
    Ok(())
}
