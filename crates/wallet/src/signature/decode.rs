//! From signature bytes to structure, by the strict rules of Keyfold's contracts.

use alloy_primitives::{Address, B256, Bytes};

use super::EcdsaSignature;
use super::encode::{
    FLAG_CHAINED, FLAG_CHECKPOINTER, FLAG_NO_CHAIN_ID, FLAG_STATIC, FLAG_WIDE_THRESHOLD,
    TAG_ADDRESS, TAG_ANY_ADDRESS, TAG_BRANCH, TAG_ERC1271, TAG_ETH_SIGN, TAG_HASH, TAG_NESTED,
    TAG_NODE, TAG_SAPIENT, TAG_SAPIENT_COMPACT, TAG_SUBDIGEST,
};
use crate::bytes::Reader;

/// Longest signature read.
pub const MAX_SIGNATURE: usize = 1 << 20;
/// Deepest nesting of branches and nested trees read.
pub const MAX_DEPTH: usize = 64;

/// Why bytes are not a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end too early.
    #[error("the signature ends too early")]
    Truncated,
    /// Bytes remain after the end.
    #[error("bytes remain after the end of the signature")]
    TrailingBytes,
    /// Longer than [`MAX_SIGNATURE`].
    #[error("the signature is longer than {MAX_SIGNATURE} bytes")]
    TooLong,
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("the signature is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// A tag or flag without meaning.
    #[error("unknown flag {0:#04x} in the signature")]
    UnknownFlag(u8),
    /// An ECDSA signature out of range or in the upper half.
    #[error("an ECDSA signature is out of range or not in the lower half")]
    InvalidEcdsa,
    /// Address zero as signer, contract or checkpointer.
    #[error("address zero cannot sign")]
    ZeroAddress,
    /// A threshold of zero lets anybody act.
    #[error("a threshold in the signature is zero")]
    ZeroThreshold,
    /// A tree without items, one that begins with a branch, or a node hash of zero: shapes whose
    /// root is not that of any real tree.
    #[error("a tree in the signature has no real root")]
    MalformedTree,
    /// A chain without links, or a chain inside a chain.
    #[error("a chain of signatures is empty or nested")]
    MalformedChain,
}

/// A signature, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// Refers to an approval stored in the wallet.
    Static {
        /// Whether the approval counts on every chain.
        no_chain_id: bool,
    },
    /// One configuration's signature.
    Single(Chunk),
    /// Configuration updates on top of each other, newest first.
    Chained {
        /// Checkpointer of the configuration on chain, and data for it.
        checkpointer: Option<(Address, Bytes)>,
        /// The links, newest first; never empty.
        chunks: Vec<Chunk>,
    },
}

/// One configuration's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Whether the signers signed for every chain.
    pub no_chain_id: bool,
    /// The checkpointer shown.
    pub checkpointer: Option<Address>,
    /// Data for the checkpointer; present for a single signature that shows one.
    pub checkpointer_data: Option<Bytes>,
    /// Version of the configuration.
    pub checkpoint: u64,
    /// Weight to reach.
    pub threshold: u16,
    /// The tree, folded from the left; never empty.
    pub items: Vec<Item>,
}

/// One item of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A signer, shown or signed.
    Signer {
        /// Weight of the leaf.
        weight: u8,
        /// What it shows.
        data: SignerData,
    },
    /// A sapient signer that signed.
    Sapient {
        /// Weight of the leaf.
        weight: u8,
        /// The contract.
        address: Address,
        /// Bytes for it.
        data: Bytes,
        /// Whether it sees only the hash.
        compact: bool,
    },
    /// A hash in place of a subtree.
    Node(B256),
    /// An approved payload hash.
    Subdigest(B256),
    /// An approved payload hash for address zero.
    AnyAddressSubdigest(B256),
    /// A subtree.
    Branch(Vec<Item>),
    /// A tree of its own.
    Nested {
        /// Weight it adds.
        weight: u8,
        /// Weight to reach inside.
        threshold: u16,
        /// The inner tree.
        items: Vec<Item>,
    },
}

/// What a signer leaf shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignerData {
    /// The address: not signed.
    Unsigned(Address),
    /// A signature over the hash.
    EcdsaHash(EcdsaSignature),
    /// A signature over the hash wrapped by `eth_sign`.
    EthSign(EcdsaSignature),
    /// A contract and bytes for it.
    Erc1271(Address, Bytes),
}

/// Reads a signature.
///
/// # Security
/// For untrusted bytes: size, depth and every read are bounded. Nothing is verified here; what
/// signed, and whether it suffices, says [`super::recover`].
///
/// # Errors
/// [`DecodeError`] names the first defect.
pub fn decode(bytes: &[u8]) -> Result<Decoded, DecodeError> {
    if bytes.len() > MAX_SIGNATURE {
        return Err(DecodeError::TooLong);
    }
    let flags = *bytes.first().ok_or(DecodeError::Truncated)?;
    if flags & FLAG_STATIC != 0 {
        if flags & !(FLAG_STATIC | FLAG_NO_CHAIN_ID) != 0 {
            return Err(DecodeError::UnknownFlag(flags));
        }
        if bytes.len() > 1 {
            return Err(DecodeError::TrailingBytes);
        }
        return Ok(Decoded::Static {
            no_chain_id: flags & FLAG_NO_CHAIN_ID != 0,
        });
    }
    if flags & FLAG_CHAINED != 0 {
        return chain(bytes);
    }
    chunk(bytes, Position::Alone).map(Decoded::Single)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    Alone,
    Chain,
    ChainEnd,
}

fn chain(bytes: &[u8]) -> Result<Decoded, DecodeError> {
    let mut reader = Reader::new(bytes);
    let flags = reader.byte().ok_or(DecodeError::Truncated)?;
    if flags & !(FLAG_CHAINED | FLAG_CHECKPOINTER) != 0 {
        return Err(DecodeError::UnknownFlag(flags));
    }
    let checkpointer = if flags & FLAG_CHECKPOINTER != 0 {
        Some((address(&mut reader)?, sized(&mut reader, 3)?))
    } else {
        None
    };
    let mut chunks = Vec::new();
    while !reader.is_empty() {
        let slice = reader.sized(3).ok_or(DecodeError::Truncated)?;
        let position = if reader.is_empty() {
            Position::ChainEnd
        } else {
            Position::Chain
        };
        chunks.push(chunk(slice, position)?);
    }
    if chunks.is_empty() {
        return Err(DecodeError::MalformedChain);
    }
    Ok(Decoded::Chained {
        checkpointer,
        chunks,
    })
}

fn chunk(bytes: &[u8], position: Position) -> Result<Chunk, DecodeError> {
    let mut reader = Reader::new(bytes);
    let flags = reader.byte().ok_or(DecodeError::Truncated)?;
    if flags & FLAG_STATIC != 0 {
        return Err(DecodeError::UnknownFlag(flags));
    }
    if flags & FLAG_CHAINED != 0 {
        return Err(DecodeError::MalformedChain);
    }
    let (checkpointer, checkpointer_data) = match (flags & FLAG_CHECKPOINTER != 0, position) {
        (false, _) => (None, None),
        (true, Position::Alone) => (Some(address(&mut reader)?), Some(sized(&mut reader, 3)?)),
        (true, Position::Chain) => (Some(address(&mut reader)?), None),
        (true, Position::ChainEnd) => return Err(DecodeError::UnknownFlag(flags)),
    };
    let checkpoint_width = usize::from(flags >> 2) & 0x07;
    let checkpoint = reader
        .uint(checkpoint_width)
        .ok_or(DecodeError::Truncated)?;
    let threshold_width = if flags & FLAG_WIDE_THRESHOLD != 0 {
        2
    } else {
        1
    };
    let threshold = threshold(&mut reader, threshold_width)?;
    Ok(Chunk {
        no_chain_id: flags & FLAG_NO_CHAIN_ID != 0,
        checkpointer,
        checkpointer_data,
        checkpoint,
        threshold,
        items: items(reader.rest(), MAX_DEPTH)?,
    })
}

#[inline]
fn items(bytes: &[u8], depth: usize) -> Result<Vec<Item>, DecodeError> {
    // Few slices have more items than signed leaves would fit, and few have many.
    let mut items = Vec::with_capacity((2 + bytes.len() / 128).min(64));
    push_items(&mut items, bytes, depth)?;
    Ok(items)
}

fn push_items(items: &mut Vec<Item>, bytes: &[u8], depth: usize) -> Result<(), DecodeError> {
    let below = depth.checked_sub(1).ok_or(DecodeError::TooDeep)?;
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        push_item(items, &mut reader, below)?;
    }
    if items.is_empty() {
        return Err(DecodeError::MalformedTree);
    }
    Ok(())
}

/// Reads one item to the end of `items`. Pushed where it is read: returned, it would be copied
/// once more, which took half of the time.
#[inline]
fn push_item(
    items: &mut Vec<Item>,
    reader: &mut Reader<'_>,
    depth: usize,
) -> Result<(), DecodeError> {
    let first = reader.byte().ok_or(DecodeError::Truncated)?;
    let (tag, free) = (first >> 4, first & 0x0f);
    match tag {
        TAG_HASH | TAG_ETH_SIGN => {
            let weight = weight(reader, free)?;
            let signature = ecdsa(reader)?;
            let data = if tag == TAG_HASH {
                SignerData::EcdsaHash(signature)
            } else {
                SignerData::EthSign(signature)
            };
            items.push(Item::Signer { weight, data });
        }
        TAG_ADDRESS => {
            let weight = weight(reader, free)?;
            let data = SignerData::Unsigned(address(reader)?);
            items.push(Item::Signer { weight, data });
        }
        TAG_ERC1271 | TAG_SAPIENT | TAG_SAPIENT_COMPACT => {
            let weight = weight(reader, free & 0x03)?;
            let address = address(reader)?;
            let data = sized(reader, usize::from(free >> 2))?;
            items.push(match tag {
                TAG_ERC1271 => Item::Signer {
                    weight,
                    data: SignerData::Erc1271(address, data),
                },
                _ => Item::Sapient {
                    weight,
                    address,
                    data,
                    compact: tag == TAG_SAPIENT_COMPACT,
                },
            });
        }
        TAG_NODE | TAG_SUBDIGEST | TAG_ANY_ADDRESS if free != 0 => {
            return Err(DecodeError::UnknownFlag(first));
        }
        TAG_NODE => {
            let node = hash(reader)?;
            if node.is_zero() {
                return Err(DecodeError::MalformedTree);
            }
            items.push(Item::Node(node));
        }
        TAG_SUBDIGEST => items.push(Item::Subdigest(hash(reader)?)),
        TAG_ANY_ADDRESS => items.push(Item::AnyAddressSubdigest(hash(reader)?)),
        // As the first of a slice it would be hashed with an empty left operand.
        TAG_BRANCH if items.is_empty() => return Err(DecodeError::MalformedTree),
        TAG_BRANCH => {
            let slice = reader
                .sized(usize::from(free))
                .ok_or(DecodeError::Truncated)?;
            let inside = self::items(slice, depth)?;
            items.push(Item::Branch(inside));
        }
        TAG_NESTED => {
            let weight = weight(reader, free >> 2)?;
            let threshold = match free & 0x03 {
                0 => threshold(reader, 2)?,
                small => u16::from(small),
            };
            let slice = reader.sized(3).ok_or(DecodeError::Truncated)?;
            let inside = self::items(slice, depth)?;
            items.push(Item::Nested {
                weight,
                threshold,
                items: inside,
            });
        }
        _ => return Err(DecodeError::UnknownFlag(first)),
    }
    Ok(())
}

fn weight(reader: &mut Reader<'_>, free: u8) -> Result<u8, DecodeError> {
    match free {
        0 => reader.byte().ok_or(DecodeError::Truncated),
        weight => Ok(weight),
    }
}

fn threshold(reader: &mut Reader<'_>, width: usize) -> Result<u16, DecodeError> {
    let value = reader.uint(width).ok_or(DecodeError::Truncated)?;
    match u16::try_from(value) {
        Ok(0) => Err(DecodeError::ZeroThreshold),
        Ok(threshold) => Ok(threshold),
        Err(_) => Err(DecodeError::Truncated),
    }
}

#[inline]
fn ecdsa(reader: &mut Reader<'_>) -> Result<EcdsaSignature, DecodeError> {
    let bytes = reader.take(64).ok_or(DecodeError::Truncated)?;
    let bytes = bytes.first_chunk::<64>().ok_or(DecodeError::Truncated)?;
    EcdsaSignature::from_compact(bytes).ok_or(DecodeError::InvalidEcdsa)
}

#[inline]
fn address(reader: &mut Reader<'_>) -> Result<Address, DecodeError> {
    let bytes = reader.take(20).ok_or(DecodeError::Truncated)?;
    if bytes.iter().all(|byte| *byte == 0) {
        return Err(DecodeError::ZeroAddress);
    }
    Ok(Address::from_slice(bytes))
}

fn hash(reader: &mut Reader<'_>) -> Result<B256, DecodeError> {
    reader.hash().ok_or(DecodeError::Truncated)
}

fn sized(reader: &mut Reader<'_>, width: usize) -> Result<Bytes, DecodeError> {
    reader
        .sized(width)
        .map(Bytes::copy_from_slice)
        .ok_or(DecodeError::Truncated)
}
