//! Recovery trees.

use alloy_primitives::B256;
use serde::Deserialize;

use super::params::{AddressText, BytesText, Words, read};
use super::{Answer, OracleError, bytes};
use crate::Encoding;
use crate::bytes::{Reader, hash_pair};
use crate::recovery::{MAX_RECOVERY_DEPTH, RecoveryLeaf, RecoveryTree, RecoveryTreeError};

#[derive(Deserialize)]
struct Input {
    leaves: Words,
    signer: Option<AddressText>,
}

impl Input {
    fn tree(&self) -> Result<RecoveryTree, OracleError> {
        let leaves: Vec<RecoveryLeaf> = self
            .leaves
            .0
            .iter()
            .map(|text| text.parse().map_err(OracleError::failed))
            .collect::<Result<_, _>>()?;
        RecoveryTree::balanced(&leaves).map_err(OracleError::failed)
    }
}

fn encoded(tree: &RecoveryTree) -> Answer {
    tree.encode(Encoding::Npm)
        .map_err(OracleError::failed)
        .and_then(bytes)
}

pub(super) fn hash_from_leaves(params: &str) -> Answer {
    bytes(read::<Input>(params)?.tree()?.hash())
}

pub(super) fn encode(params: &str) -> Answer {
    encoded(&read::<Input>(params)?.tree()?)
}

pub(super) fn trim(params: &str) -> Answer {
    let input: Input = read(params)?;
    let signer = input
        .signer
        .ok_or_else(|| OracleError::failed("missing field `signer`"))?;
    let tree = input.tree()?;
    match tree.trimmed(&signer.0) {
        // Nothing of this signer is left: the whole tree is one hash.
        Err(RecoveryTreeError::UnknownSigner(_)) => encoded(&RecoveryTree::Node(tree.hash())),
        trimmed => encoded(&trimmed.map_err(OracleError::failed)?),
    }
}

#[derive(Deserialize)]
struct Encoded {
    encoded: BytesText,
}

pub(super) fn hash_encoded(params: &str) -> Answer {
    let input: Encoded = read(params)?;
    bytes(root(&input.encoded.0, MAX_RECOVERY_DEPTH)?)
}

/// The root of a tree that nobody judges. [`RecoveryTree::decode`] does.
fn root(encoded: &[u8], depth: usize) -> Result<B256, OracleError> {
    let malformed = || OracleError::failed("the recovery tree is cut off or malformed");
    let below = depth.checked_sub(1).ok_or_else(malformed)?;
    let mut reader = Reader::new(encoded);
    let mut root = None;
    while !reader.is_empty() {
        let flag = reader.byte().ok_or_else(malformed)?;
        let item = match flag {
            1 => RecoveryLeaf {
                signer: reader.address().ok_or_else(malformed)?,
                required_delta_seconds: reader
                    .uint(3)
                    .and_then(|delta| u32::try_from(delta).ok())
                    .ok_or_else(malformed)?,
                min_timestamp: reader.uint(8).ok_or_else(malformed)?,
            }
            .hash(),
            3 => reader.hash().ok_or_else(malformed)?,
            4 => self::root(reader.sized(3).ok_or_else(malformed)?, below)?,
            _ => return Err(malformed()),
        };
        root = Some(root.map_or(item, |left| hash_pair(&left, &item)));
    }
    root.ok_or_else(malformed)
}
