//! From a configuration and its signers' parts to signature bytes.

use std::collections::BTreeSet;

use alloy_primitives::{Address, Bytes};

use super::{Parts, SignaturePart};
use crate::Encoding;
use crate::bytes::{byte_len, push_uint};
use crate::config::{CHECKPOINT_LIMIT, Config, Topology, ValidConfig};

pub(super) const FLAG_CHAINED: u8 = 0x01;
pub(super) const FLAG_NO_CHAIN_ID: u8 = 0x02;
pub(super) const FLAG_WIDE_THRESHOLD: u8 = 0x20;
pub(super) const FLAG_CHECKPOINTER: u8 = 0x40;
pub(super) const FLAG_STATIC: u8 = 0x80;

pub(super) const TAG_HASH: u8 = 0;
pub(super) const TAG_ADDRESS: u8 = 1;
pub(super) const TAG_ERC1271: u8 = 2;
pub(super) const TAG_NODE: u8 = 3;
pub(super) const TAG_BRANCH: u8 = 4;
pub(super) const TAG_SUBDIGEST: u8 = 5;
pub(super) const TAG_NESTED: u8 = 6;
pub(super) const TAG_ETH_SIGN: u8 = 7;
pub(super) const TAG_ANY_ADDRESS: u8 = 8;
pub(super) const TAG_SAPIENT: u8 = 9;
pub(super) const TAG_SAPIENT_COMPACT: u8 = 10;

/// Room for a few signers: most signatures fit.
const USUAL_LENGTH: usize = 512;
/// Longest data of one part, and of one branch or chunk (24 bits of length).
const MAX_SIZED: usize = 0xff_ffff;

/// Why a signature cannot be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A part belongs to nobody in the tree, or is of a kind its leaf cannot carry.
    #[error("the signature part of {0} fits no leaf of the configuration")]
    UnknownSigner(Address),
    /// Data too long for its length field.
    #[error("a part of the signature is longer than {MAX_SIZED} bytes")]
    TooLong,
    /// The checkpoint does not fit 56 bits.
    #[error("the checkpoint does not fit 56 bits")]
    CheckpointTooLarge,
    /// Checkpointer data without a checkpointer in the configuration.
    #[error("checkpointer data was given, but the configuration has no checkpointer")]
    NoCheckpointer,
    /// A chain needs at least one link.
    #[error("a chain of signatures needs at least one link")]
    EmptyChain,
}

/// What stands before the tree besides the configuration's own numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Whether the signers signed for every chain (chain id 0).
    pub no_chain_id: bool,
    /// Data for the checkpointer. Absent: empty data, if the configuration has a checkpointer.
    pub checkpointer_data: Option<Bytes>,
    /// Which of the valid encodings to emit.
    pub encoding: Encoding,
}

impl Header {
    fn checkpointer_data(&self) -> &[u8] {
        self.checkpointer_data
            .as_ref()
            .map(AsRef::as_ref)
            .unwrap_or_default()
    }
}

/// How a chunk shows its checkpointer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CheckpointerForm {
    /// Address, length, data.
    Full,
    /// Address only: every chunk of a chain but the last.
    AddressOnly,
    /// Nothing: the last chunk of a chain, whose outer header shows it.
    Omitted,
}

/// Encodes the signature of one configuration.
///
/// A part is used at every leaf with its address. Signers without a part are shown unsigned.
///
/// # Errors
/// [`EncodeError::UnknownSigner`] for a part that no leaf can use; the rest for what the format
/// cannot express.
pub fn encode(config: &ValidConfig, parts: &Parts, header: &Header) -> Result<Bytes, EncodeError> {
    encode_unjudged(config, parts, header)
}

/// Encodes a configuration that nobody has signed, for estimates and comparisons.
///
/// # Errors
/// For what the format cannot express.
pub fn encode_unsigned(config: &Config, header: &Header) -> Result<Bytes, EncodeError> {
    encode_unjudged(config, &Parts::new(), header)
}

/// Encodes the signature of a configuration that nobody judged.
///
/// # Security
/// For comparisons with other encoders and for reading foreign wallets: the configuration may be
/// open to anybody. Otherwise use [`encode`].
///
/// # Errors
/// As [`encode`].
pub fn encode_unjudged(
    config: &Config,
    parts: &Parts,
    header: &Header,
) -> Result<Bytes, EncodeError> {
    if header.checkpointer_data.is_some() && config.checkpointer.is_none() {
        return Err(EncodeError::NoCheckpointer);
    }
    chunk(config, parts, header, CheckpointerForm::Full).map(Bytes::from)
}

/// Encodes a chain, newest first: the first link signs the payload, every other link signs the
/// update to the configuration of the link before it, the last is the one on chain.
///
/// Checkpointer data is that of the last link's header; the others' is ignored.
///
/// # Errors
/// As [`encode`], and [`EncodeError::EmptyChain`].
pub fn encode_chain(links: &[(&ValidConfig, &Parts, Header)]) -> Result<Bytes, EncodeError> {
    let ((config, parts, header), newer) = links.split_last().ok_or(EncodeError::EmptyChain)?;
    let mut out = vec![FLAG_CHAINED];
    match config.checkpointer {
        Some(checkpointer) => {
            out = vec![FLAG_CHAINED | FLAG_CHECKPOINTER];
            out.extend_from_slice(checkpointer.as_slice());
            push_sized(&mut out, header.checkpointer_data(), 3)?;
        }
        None if header.checkpointer_data.is_some() => return Err(EncodeError::NoCheckpointer),
        None => {}
    }
    for (config, parts, header) in newer {
        let bytes = chunk(config, parts, header, CheckpointerForm::AddressOnly)?;
        push_sized(&mut out, &bytes, 3)?;
    }
    let bytes = chunk(config, parts, header, CheckpointerForm::Omitted)?;
    push_sized(&mut out, &bytes, 3)?;
    Ok(out.into())
}

fn chunk(
    config: &Config,
    parts: &Parts,
    header: &Header,
    form: CheckpointerForm,
) -> Result<Vec<u8>, EncodeError> {
    if config.checkpoint >= CHECKPOINT_LIMIT {
        return Err(EncodeError::CheckpointTooLarge);
    }
    let checkpointer = config
        .checkpointer
        .filter(|_| form != CheckpointerForm::Omitted);
    let data = header.checkpointer_data();
    let head = Head {
        no_chain_id: header.no_chain_id,
        checkpointer: checkpointer
            .map(|address| (address, (form == CheckpointerForm::Full).then_some(data))),
        checkpoint: config.checkpoint,
        threshold: config.threshold,
    };
    let mut out = head.encode(header.encoding)?;

    let mut tree = TreeEncoder {
        parts,
        encoding: header.encoding,
        used: BTreeSet::new(),
    };
    tree.node(&mut out, &config.topology)?;
    match parts.keys().find(|address| !tree.used.contains(*address)) {
        Some(address) => Err(EncodeError::UnknownSigner(*address)),
        None => Ok(out),
    }
}

/// What stands before a tree.
pub(super) struct Head<'a> {
    pub(super) no_chain_id: bool,
    /// The address, and the data unless it is left out.
    pub(super) checkpointer: Option<(Address, Option<&'a [u8]>)>,
    pub(super) checkpoint: u64,
    pub(super) threshold: u16,
}

impl Head<'_> {
    pub(super) fn encode(&self, encoding: Encoding) -> Result<Vec<u8>, EncodeError> {
        let checkpoint_width = match encoding {
            Encoding::Shortest => byte_len(self.checkpoint),
            Encoding::Npm => byte_len(self.checkpoint).max(1),
        };
        let threshold_width = if self.threshold > 0xff { 2 } else { 1 };
        let mut flags = (checkpoint_width as u8) << 2;
        for (set, bit) in [
            (self.no_chain_id, FLAG_NO_CHAIN_ID),
            (threshold_width == 2, FLAG_WIDE_THRESHOLD),
            (self.checkpointer.is_some(), FLAG_CHECKPOINTER),
        ] {
            if set {
                flags |= bit;
            }
        }
        let mut out = Vec::with_capacity(USUAL_LENGTH);
        out.push(flags);
        if let Some((address, data)) = &self.checkpointer {
            out.extend_from_slice(address.as_slice());
            if let Some(data) = data {
                push_sized(&mut out, data, 3)?;
            }
        }
        push_uint(&mut out, self.checkpoint, checkpoint_width);
        push_uint(&mut out, u64::from(self.threshold), threshold_width);
        Ok(out)
    }
}

pub(super) fn push_sized(out: &mut Vec<u8>, data: &[u8], width: usize) -> Result<(), EncodeError> {
    if data.len() > MAX_SIZED {
        return Err(EncodeError::TooLong);
    }
    push_uint(out, data.len() as u64, width);
    out.extend_from_slice(data);
    Ok(())
}

struct TreeEncoder<'a> {
    parts: &'a Parts,
    encoding: Encoding,
    used: BTreeSet<Address>,
}

impl TreeEncoder<'_> {
    fn node(&mut self, out: &mut Vec<u8>, tree: &Topology) -> Result<(), EncodeError> {
        match tree {
            Topology::Signer { address, weight } => self.signer(out, address, *weight),
            Topology::Sapient {
                address, weight, ..
            } => match self.parts.get(address) {
                Some(SignaturePart::Sapient(data)) => {
                    self.contract(out, TAG_SAPIENT, address, *weight, data)
                }
                Some(SignaturePart::SapientCompact(data)) => {
                    self.contract(out, TAG_SAPIENT_COMPACT, address, *weight, data)
                }
                _ => {
                    push_hash(out, TAG_NODE, tree.hash().as_slice());
                    Ok(())
                }
            },
            Topology::Subdigest(digest) => {
                push_hash(out, TAG_SUBDIGEST, digest.as_slice());
                Ok(())
            }
            Topology::AnyAddressSubdigest(digest) => {
                push_hash(out, TAG_ANY_ADDRESS, digest.as_slice());
                Ok(())
            }
            Topology::Node(hash) => {
                push_hash(out, TAG_NODE, hash.as_slice());
                Ok(())
            }
            Topology::Nested {
                tree,
                weight,
                threshold,
            } => self.nested(out, tree, *weight, *threshold),
            // The left side stands inline: a branch item as the first of a slice would be hashed
            // with an empty left operand. So does a right side that is not a branch itself.
            Topology::Branch(left, right) => {
                self.node(out, left)?;
                if !matches!(**right, Topology::Branch(..)) {
                    return self.node(out, right);
                }
                let start = out.len();
                self.node(out, right)?;
                wrap_branch(out, start)
            }
        }
    }

    fn signer(
        &mut self,
        out: &mut Vec<u8>,
        address: &Address,
        weight: u8,
    ) -> Result<(), EncodeError> {
        let (tag, signature) = match self.parts.get(address) {
            Some(SignaturePart::EcdsaHash(signature)) => (TAG_HASH, signature),
            Some(SignaturePart::EthSign(signature)) => (TAG_ETH_SIGN, signature),
            Some(SignaturePart::Erc1271(data)) => {
                return self.contract(out, TAG_ERC1271, address, weight, data);
            }
            // A part for a sapient leaf of the same address, or none.
            _ => {
                push_weight4(out, TAG_ADDRESS, weight);
                out.extend_from_slice(address.as_slice());
                return Ok(());
            }
        };
        self.used.insert(*address);
        push_weight4(out, tag, weight);
        out.extend_from_slice(&signature.to_compact());
        Ok(())
    }

    fn contract(
        &mut self,
        out: &mut Vec<u8>,
        tag: u8,
        address: &Address,
        weight: u8,
        data: &[u8],
    ) -> Result<(), EncodeError> {
        self.used.insert(*address);
        push_contract(out, tag, address, weight, data, self.encoding)
    }

    fn nested(
        &mut self,
        out: &mut Vec<u8>,
        tree: &Topology,
        weight: u8,
        threshold: u16,
    ) -> Result<(), EncodeError> {
        let mut inner = Vec::new();
        self.node(&mut inner, tree)?;
        push_nested(out, weight, threshold, &inner)
    }
}

/// Writes a contract that signed: tag, weight, address, data.
pub(super) fn push_contract(
    out: &mut Vec<u8>,
    tag: u8,
    address: &Address,
    weight: u8,
    data: &[u8],
    encoding: Encoding,
) -> Result<(), EncodeError> {
    let width = match (encoding, tag) {
        (Encoding::Shortest, _) => byte_len(data.len() as u64),
        // The package measures the hex text, "0x" included.
        (Encoding::Npm, TAG_ERC1271) => byte_len(data.len() as u64 * 2 + 2).max(1),
        (Encoding::Npm, _) => byte_len(data.len() as u64).max(1),
    };
    if width > 3 {
        return Err(EncodeError::TooLong);
    }
    let small = if (1..=3).contains(&weight) { weight } else { 0 };
    out.push((tag << 4) | ((width as u8) << 2) | small);
    if small == 0 {
        out.push(weight);
    }
    out.extend_from_slice(address.as_slice());
    push_sized(out, data, width)
}

/// Writes a tree of its own: tag, weight, threshold, the tree's bytes.
pub(super) fn push_nested(
    out: &mut Vec<u8>,
    weight: u8,
    threshold: u16,
    inner: &[u8],
) -> Result<(), EncodeError> {
    let small_weight = if (1..=3).contains(&weight) { weight } else { 0 };
    let small_threshold = if (1..=3).contains(&threshold) {
        threshold as u8
    } else {
        0
    };
    out.push((TAG_NESTED << 4) | (small_weight << 2) | small_threshold);
    if small_weight == 0 {
        out.push(weight);
    }
    if small_threshold == 0 {
        push_uint(out, u64::from(threshold), 2);
    }
    push_sized(out, inner, 3)
}

/// Makes what was written from `start` on a branch, in place.
fn wrap_branch(out: &mut Vec<u8>, start: usize) -> Result<(), EncodeError> {
    let length = out.len().saturating_sub(start);
    if length > MAX_SIZED {
        return Err(EncodeError::TooLong);
    }
    let width = byte_len(length as u64).max(1);
    let [.., a, b, c] = (length as u64).to_be_bytes();
    let head = [(TAG_BRANCH << 4) | width as u8, a, b, c];
    let skipped = 3usize.saturating_sub(width);
    let head = head.iter().take(1).chain(head.iter().skip(1 + skipped));
    out.splice(start..start, head.copied());
    Ok(())
}

/// Writes a right side that is a branch itself.
pub(super) fn push_branch(out: &mut Vec<u8>, inner: &[u8]) -> Result<(), EncodeError> {
    let width = byte_len(inner.len() as u64).max(1);
    out.push((TAG_BRANCH << 4) | width as u8);
    push_sized(out, inner, width)
}

pub(super) fn push_hash(out: &mut Vec<u8>, tag: u8, hash: &[u8]) {
    out.push(tag << 4);
    out.extend_from_slice(hash);
}

pub(super) fn push_weight4(out: &mut Vec<u8>, tag: u8, weight: u8) {
    if (1..=15).contains(&weight) {
        out.push((tag << 4) | weight);
    } else {
        out.extend_from_slice(&[tag << 4, weight]);
    }
}
