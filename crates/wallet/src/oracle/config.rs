//! Configurations and their signatures.

use std::collections::BTreeSet;

use alloy_primitives::Address;
use serde::Deserialize;

use super::params::{
    AddressText, BytesText, Number, address_field, bytes_field, field, read, word_field,
};
use super::{Answer, OracleError, bytes, json};
use crate::config::{Config, Topology, balanced_tree};
use crate::signature::{Header, Parts, SignaturePart, encode_unjudged, encode_unsigned};
use crate::{EcdsaSignature, Encoding};

#[derive(Deserialize)]
struct New {
    threshold: Number<u16>,
    checkpoint: Number<u64>,
    from: Option<String>,
    content: String,
    checkpointer: Option<AddressText>,
}

pub(super) fn new(params: &str) -> Answer {
    let new: New = read(params)?;
    if new.from.is_some_and(|from| from != "flat") {
        return Err(OracleError::failed("only flat lists of elements are known"));
    }
    json(&Config {
        threshold: new.threshold.0,
        checkpoint: new.checkpoint.0,
        checkpointer: new.checkpointer.map(|address| address.0),
        topology: tree(&new.content, true)?,
    })
}

/// Reads elements with spaces between; a nested one ends at the first closing bracket.
fn tree(content: &str, may_nest: bool) -> Result<Topology, OracleError> {
    let mut leaves = Vec::new();
    let mut rest = content.trim_start();
    while !rest.is_empty() {
        let (leaf, tail) = match rest.strip_prefix("nested:") {
            Some(nested) if may_nest => {
                let (head, tail) = nested
                    .split_once(')')
                    .ok_or_else(|| OracleError::failed("a nested element has no end"))?;
                (nested_leaf(head)?, tail)
            }
            _ => {
                let (element, tail) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                (plain_leaf(element)?, tail)
            }
        };
        leaves.push(leaf);
        rest = tail.trim_start();
    }
    balanced_tree(leaves).map_err(OracleError::failed)
}

fn nested_leaf(text: &str) -> Result<Topology, OracleError> {
    let mut fields = text.splitn(3, ':');
    let threshold = field(fields.next(), "the threshold of a nested element")?;
    let weight = field(fields.next(), "the weight of a nested element")?;
    let inner = fields.next().and_then(|inner| inner.strip_prefix('('));
    let inner = inner.ok_or_else(|| OracleError::failed("a nested element has no brackets"))?;
    Ok(Topology::Nested {
        tree: Box::new(tree(inner, false)?),
        weight,
        threshold,
    })
}

fn plain_leaf(text: &str) -> Result<Topology, OracleError> {
    let mut fields = text.split(':');
    let leaf = match fields.next().unwrap_or_default() {
        "signer" => Topology::Signer {
            address: address_field(fields.next())?,
            weight: field(fields.next(), "a weight")?,
        },
        "sapient" => Topology::Sapient {
            image_hash: word_field(fields.next())?,
            address: address_field(fields.next())?,
            weight: field(fields.next(), "a weight")?,
        },
        "subdigest" => Topology::Subdigest(word_field(fields.next())?),
        "any-address-subdigest" => Topology::AnyAddressSubdigest(word_field(fields.next())?),
        "node" => Topology::Node(word_field(fields.next())?),
        _ => return Err(OracleError::failed("unknown element of a configuration")),
    };
    match fields.next() {
        None => Ok(leaf),
        Some(_) => Err(OracleError::failed("an element has too many fields")),
    }
}

#[derive(Deserialize)]
struct Input {
    input: Config,
}

pub(super) fn image_hash(params: &str) -> Answer {
    bytes(read::<Input>(params)?.input.image_hash())
}

pub(super) fn encode(params: &str) -> Answer {
    let header = Header {
        no_chain_id: true,
        checkpointer_data: None,
        encoding: Encoding::Npm,
    };
    bytes(encode_unsigned(&read::<Input>(params)?.input, &header).map_err(OracleError::failed)?)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Encode {
    input: Config,
    #[serde(default)]
    signatures: String,
    chain_id: Option<bool>,
    checkpointer_data: Option<BytesText>,
}

pub(super) fn encode_signature(params: &str) -> Answer {
    let encode: Encode = read(params)?;
    let mut parts = Parts::new();
    for text in encode.signatures.split_whitespace() {
        let (address, part) = part(text)?;
        // The first of an address counts.
        parts.entry(address).or_insert(part);
    }
    // What belongs to nobody in the tree is passed over.
    let mut known = BTreeSet::new();
    signers(&encode.input.topology, &mut known);
    parts.retain(|address, _| known.contains(address));
    let header = Header {
        no_chain_id: encode.chain_id == Some(false),
        checkpointer_data: encode
            .checkpointer_data
            .map(|data| data.0)
            .filter(|_| encode.input.checkpointer.is_some()),
        encoding: Encoding::Npm,
    };
    bytes(encode_unjudged(&encode.input, &parts, &header).map_err(OracleError::failed)?)
}

fn signers(tree: &Topology, known: &mut BTreeSet<Address>) {
    match tree {
        Topology::Signer { address, .. } | Topology::Sapient { address, .. } => {
            known.insert(*address);
        }
        Topology::Nested { tree, .. } => signers(tree, known),
        Topology::Branch(left, right) => {
            signers(left, known);
            signers(right, known);
        }
        Topology::Subdigest(_) | Topology::AnyAddressSubdigest(_) | Topology::Node(_) => {}
    }
}

fn part(text: &str) -> Result<(Address, SignaturePart), OracleError> {
    let mut fields = text.splitn(3, ':');
    let address = address_field(fields.next())?;
    let kind = fields.next().unwrap_or_default();
    let rest = fields.next();
    let part = match kind {
        "hash" => SignaturePart::EcdsaHash(rsv(rest)?),
        "eth_sign" => SignaturePart::EthSign(rsv(rest)?),
        "erc1271" => SignaturePart::Erc1271(bytes_field(rest)?),
        "sapient" => SignaturePart::Sapient(bytes_field(rest)?),
        "sapient_compact" => SignaturePart::SapientCompact(bytes_field(rest)?),
        _ => return Err(OracleError::failed("unknown kind of signature")),
    };
    Ok((address, part))
}

/// Reads `r:s:v` without judging it: what a contract makes of a bad one is for its tests to say.
pub(super) fn rsv(text: Option<&str>) -> Result<EcdsaSignature, OracleError> {
    let mut fields = text.unwrap_or_default().split(':');
    let (r, s) = (word_field(fields.next())?, word_field(fields.next())?);
    let v: u8 = field(fields.next(), "v of a signature")?;
    match (v, fields.next()) {
        (27 | 28, None) => Ok(EcdsaSignature::unjudged(r, s, v == 28)),
        _ => Err(OracleError::failed("expected r:s:v with a v of 27 or 28")),
    }
}
