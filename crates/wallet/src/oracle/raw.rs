//! Signatures read without judging them: what the package's decoder makes of bytes, as JSON, and
//! joined to chains. [`crate::signature::decode`] is the reader for everything else.

use core::fmt::Write as _;

use alloy_primitives::{Address, B256, Bytes, hex};
use serde::Deserialize;

use super::params::{BytesText, read};
use super::{Answer, OracleError, bytes};
use crate::abi;
use crate::bytes::{Reader, byte_len, push_uint};
use crate::signature::{MAX_DEPTH, MAX_SIGNATURE};

const FLAG_CHAINED: u8 = 0x01;
const FLAG_NO_CHAIN_ID: u8 = 0x02;
const FLAG_WIDE_THRESHOLD: u8 = 0x20;
const FLAG_CHECKPOINTER: u8 = 0x40;
const MAX_SIZED: usize = 0xff_ffff;

/// One configuration's signature.
struct Link {
    no_chain_id: bool,
    checkpointer: Option<Address>,
    checkpointer_data: Option<Bytes>,
    checkpoint: u64,
    threshold: u16,
    items: Vec<Item>,
}

/// An item of a tree, by its tag.
enum Item {
    /// 0 and 7: a signature.
    Ecdsa { tag: u8, weight: u8, rs: B512 },
    /// 1: a signer without one.
    Signer { weight: u8, address: Address },
    /// 2, 9 and 10: a contract's.
    Contract {
        tag: u8,
        weight: u8,
        address: Address,
        data: Bytes,
    },
    /// 3, 5 and 8: a hash.
    Hash { tag: u8, hash: B256 },
    /// 4: a subtree.
    Branch(Vec<Item>),
    /// 6: a tree of its own.
    Nested {
        weight: u8,
        threshold: u16,
        items: Vec<Item>,
    },
}

type B512 = alloy_primitives::FixedBytes<64>;

fn cut_off() -> OracleError {
    OracleError::failed("the signature is cut off or malformed")
}

/// How a link of a chain shows its checkpointer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Full,
    AddressOnly,
    Omitted,
}

/// Reads a signature: its links, newest first, one unless it is chained.
fn links(signature: &[u8]) -> Result<Vec<Link>, OracleError> {
    if signature.len() > MAX_SIGNATURE {
        return Err(OracleError::failed("the signature is too long"));
    }
    let mut reader = Reader::new(signature);
    let flags = reader.byte().ok_or_else(cut_off)?;
    if flags & FLAG_CHAINED == 0 {
        return Ok(vec![link(signature, Form::Full)?]);
    }
    let mut outer = None;
    if flags & FLAG_CHECKPOINTER != 0 {
        let address = reader.address().ok_or_else(cut_off)?;
        outer = Some((address, sized(&mut reader, 3)?));
    }
    let mut links = Vec::new();
    while !reader.is_empty() {
        let bytes = reader.sized(3).ok_or_else(cut_off)?;
        links.push(link(bytes, Form::AddressOnly)?);
    }
    let last = links.last_mut().ok_or_else(cut_off)?;
    if let Some((address, data)) = outer {
        last.checkpointer = Some(address);
        last.checkpointer_data = Some(data);
    }
    Ok(links)
}

fn link(bytes: &[u8], form: Form) -> Result<Link, OracleError> {
    let mut reader = Reader::new(bytes);
    let flags = reader.byte().ok_or_else(cut_off)?;
    if flags & FLAG_CHAINED != 0 {
        return Err(OracleError::failed("a chain inside a chain"));
    }
    let (mut checkpointer, mut checkpointer_data) = (None, None);
    if flags & FLAG_CHECKPOINTER != 0 {
        checkpointer = Some(reader.address().ok_or_else(cut_off)?);
        if form == Form::Full {
            checkpointer_data = Some(sized(&mut reader, 3)?);
        }
    }
    let checkpoint = reader.uint(usize::from(flags >> 2) & 0x07);
    let width = if flags & FLAG_WIDE_THRESHOLD != 0 {
        2
    } else {
        1
    };
    Ok(Link {
        no_chain_id: flags & FLAG_NO_CHAIN_ID != 0,
        checkpointer,
        checkpointer_data,
        checkpoint: checkpoint.ok_or_else(cut_off)?,
        threshold: narrow(&mut reader, width)?,
        items: items(reader.rest(), MAX_DEPTH)?,
    })
}

fn items(bytes: &[u8], depth: usize) -> Result<Vec<Item>, OracleError> {
    let below = depth.checked_sub(1).ok_or_else(cut_off)?;
    let mut reader = Reader::new(bytes);
    let mut items = Vec::new();
    while !reader.is_empty() {
        items.push(item(&mut reader, below)?);
    }
    if items.is_empty() {
        return Err(OracleError::failed("a tree is empty"));
    }
    Ok(items)
}

fn item(reader: &mut Reader<'_>, depth: usize) -> Result<Item, OracleError> {
    let first = reader.byte().ok_or_else(cut_off)?;
    let (tag, free) = (first >> 4, first & 0x0f);
    match tag {
        0 | 7 => Ok(Item::Ecdsa {
            tag,
            weight: weight(reader, free)?,
            rs: B512::from_slice(reader.take(64).ok_or_else(cut_off)?),
        }),
        1 => Ok(Item::Signer {
            weight: weight(reader, free)?,
            address: reader.address().ok_or_else(cut_off)?,
        }),
        2 | 9 | 10 => Ok(Item::Contract {
            tag,
            weight: weight(reader, free & 0x03)?,
            address: reader.address().ok_or_else(cut_off)?,
            data: sized(reader, usize::from(free >> 2))?,
        }),
        3 | 5 | 8 => Ok(Item::Hash {
            tag,
            hash: reader.hash().ok_or_else(cut_off)?,
        }),
        4 => {
            let slice = reader.sized(usize::from(free)).ok_or_else(cut_off)?;
            items(slice, depth).map(Item::Branch)
        }
        6 => Ok(Item::Nested {
            weight: weight(reader, free >> 2)?,
            threshold: match free & 0x03 {
                0 => narrow(reader, 2)?,
                small => u16::from(small),
            },
            items: items(reader.sized(3).ok_or_else(cut_off)?, depth)?,
        }),
        unknown => Err(OracleError::Failed(format!(
            "Invalid signature flag: {unknown:#x}"
        ))),
    }
}

fn weight(reader: &mut Reader<'_>, free: u8) -> Result<u8, OracleError> {
    match free {
        0 => reader.byte().ok_or_else(cut_off),
        weight => Ok(weight),
    }
}

fn narrow(reader: &mut Reader<'_>, width: usize) -> Result<u16, OracleError> {
    let value = reader.uint(width).ok_or_else(cut_off)?;
    u16::try_from(value).map_err(|_| cut_off())
}

fn sized(reader: &mut Reader<'_>, width: usize) -> Result<Bytes, OracleError> {
    let bytes = reader.sized(width).ok_or_else(cut_off)?;
    Ok(Bytes::copy_from_slice(bytes))
}

// ─── Writing ───

impl Link {
    fn data(&self) -> &[u8] {
        self.checkpointer_data.as_ref().map_or(&[], AsRef::as_ref)
    }

    fn encode(&self, form: Form) -> Result<Vec<u8>, OracleError> {
        let checkpoint_width = byte_len(self.checkpoint).max(1);
        let checkpointer = self.checkpointer.filter(|_| form != Form::Omitted);
        let wide = self.threshold > 0xff;
        let mut flags = (checkpoint_width as u8) << 2;
        for (set, bit) in [
            (self.no_chain_id, FLAG_NO_CHAIN_ID),
            (wide, FLAG_WIDE_THRESHOLD),
            (checkpointer.is_some(), FLAG_CHECKPOINTER),
        ] {
            if set {
                flags |= bit;
            }
        }
        let mut out = vec![flags];
        if let Some(address) = checkpointer {
            out.extend_from_slice(address.as_slice());
            if form == Form::Full {
                push_sized(&mut out, self.data(), 3)?;
            }
        }
        push_uint(&mut out, self.checkpoint, checkpoint_width);
        push_uint(&mut out, self.threshold.into(), if wide { 2 } else { 1 });
        write_items(&mut out, &self.items)?;
        Ok(out)
    }
}

fn push_sized(out: &mut Vec<u8>, data: &[u8], width: usize) -> Result<(), OracleError> {
    if data.len() > MAX_SIZED {
        return Err(OracleError::failed("a part of the signature is too long"));
    }
    push_uint(out, data.len() as u64, width);
    out.extend_from_slice(data);
    Ok(())
}

/// Items are folded from the left, so a subtree that stands first needs no wrapping.
fn write_items(out: &mut Vec<u8>, items: &[Item]) -> Result<(), OracleError> {
    for (index, item) in items.iter().enumerate() {
        match item {
            Item::Branch(inner) if index == 0 || inner.len() == 1 => write_items(out, inner)?,
            Item::Branch(inner) => {
                let mut bytes = Vec::new();
                write_items(&mut bytes, inner)?;
                let width = byte_len(bytes.len() as u64).max(1);
                out.push(0x40 | width as u8);
                push_sized(out, &bytes, width)?;
            }
            item => write_leaf(out, item)?,
        }
    }
    Ok(())
}

/// The weight in the free bits if it fits, else in a byte of its own.
fn push_head(out: &mut Vec<u8>, high: u8, weight: u8, largest: u8) {
    if (1..=largest).contains(&weight) {
        out.push(high | weight);
    } else {
        out.extend_from_slice(&[high, weight]);
    }
}

fn write_leaf(out: &mut Vec<u8>, item: &Item) -> Result<(), OracleError> {
    match item {
        Item::Ecdsa { tag, weight, rs } => {
            push_head(out, tag << 4, *weight, 15);
            out.extend_from_slice(rs.as_slice());
        }
        Item::Signer { weight, address } => {
            push_head(out, 0x10, *weight, 15);
            out.extend_from_slice(address.as_slice());
        }
        Item::Contract {
            tag,
            weight,
            address,
            data,
        } => {
            // Quirk: of ERC-1271 data the package measures the hex text.
            let measured = if *tag == 2 {
                data.len() * 2 + 2
            } else {
                data.len()
            };
            let width = byte_len(measured as u64).max(1);
            if width > 3 {
                return Err(OracleError::failed("a part of the signature is too long"));
            }
            push_head(out, (tag << 4) | ((width as u8) << 2), *weight, 3);
            out.extend_from_slice(address.as_slice());
            push_sized(out, data, width)?;
        }
        Item::Hash { tag, hash } => {
            out.push(tag << 4);
            out.extend_from_slice(hash.as_slice());
        }
        Item::Branch(inner) => write_items(out, inner)?,
        Item::Nested {
            weight,
            threshold,
            items,
        } => {
            let mut bytes = Vec::new();
            write_items(&mut bytes, items)?;
            let small = |value: u16| {
                if (1..=3).contains(&value) {
                    value as u8
                } else {
                    0
                }
            };
            let (weight_bits, threshold_bits) = (small((*weight).into()), small(*threshold));
            out.push(0x60 | (weight_bits << 2) | threshold_bits);
            if weight_bits == 0 {
                out.push(*weight);
            }
            if threshold_bits == 0 {
                push_uint(out, (*threshold).into(), 2);
            }
            push_sized(out, &bytes, 3)?;
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Concat {
    signatures: Vec<BytesText>,
}

pub(super) fn concat(params: &str) -> Answer {
    let signatures = read::<Concat>(params)?.signatures;
    let mut all = Vec::new();
    for signature in &signatures {
        all.append(&mut links(&signature.0)?);
    }
    let Some((last, newer)) = all.split_last() else {
        return Err(OracleError::failed("there are no signatures"));
    };
    if newer.is_empty() {
        return bytes(last.encode(Form::Full)?);
    }
    let mut out = vec![FLAG_CHAINED];
    if let Some(address) = last.checkpointer {
        out = vec![FLAG_CHAINED | FLAG_CHECKPOINTER];
        out.extend_from_slice(address.as_slice());
        push_sized(&mut out, last.data(), 3)?;
    }
    for link in newer {
        push_sized(&mut out, &link.encode(Form::AddressOnly)?, 3)?;
    }
    push_sized(&mut out, &last.encode(Form::Omitted)?, 3)?;
    bytes(out)
}

// ─── JSON ───

#[derive(Deserialize)]
struct Decode {
    signature: BytesText,
}

pub(super) fn decode_to_json(params: &str) -> Answer {
    let signature = read::<Decode>(params)?.signature.0;
    // Of a wrapped signature the inner one is shown.
    let inner = abi::erc6492_unwrap(&signature).map_or(signature, |wrapped| wrapped.signature);
    let links = links(&inner)?;
    let (first, rest) = links.split_first().ok_or_else(cut_off)?;
    let mut out = String::new();
    let suffix = (!rest.is_empty()).then_some(rest);
    write_json(&mut out, first, suffix).map_err(OracleError::failed)?;
    bytes(out)
}

/// Written by hand: pairs are folded from the left, so a tree is as deep as it has items, and no
/// recursion may be that deep.
fn write_json(out: &mut String, link: &Link, suffix: Option<&[Link]>) -> core::fmt::Result {
    write!(out, r#"{{"noChainId":{}"#, link.no_chain_id)?;
    if let Some(data) = &link.checkpointer_data {
        write!(out, r#","checkpointerData":"{data}""#)?;
    }
    write!(
        out,
        r#","configuration":{{"threshold":"{}","checkpoint":"{}","topology":"#,
        link.threshold, link.checkpoint
    )?;
    items_json(out, &link.items)?;
    if let Some(address) = link.checkpointer {
        write!(out, r#","checkpointer":"{address:#x}""#)?;
    }
    out.push('}');
    if let Some(suffix) = suffix {
        out.push_str(r#","suffix":["#);
        for (index, link) in suffix.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            write_json(out, link, None)?;
        }
        out.push(']');
    }
    out.push('}');
    Ok(())
}

fn items_json(out: &mut String, items: &[Item]) -> core::fmt::Result {
    for _ in 1..items.len() {
        out.push('[');
    }
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        item_json(out, item)?;
        if index > 0 {
            out.push(']');
        }
    }
    Ok(())
}

fn item_json(out: &mut String, item: &Item) -> core::fmt::Result {
    const UNRECOVERED: &str = r#"{"type":"unrecovered-signer","weight":""#;
    match item {
        Item::Ecdsa { tag, weight, rs } => {
            let kind = if *tag == 0 { "hash" } else { "eth_sign" };
            let (r, s) = rs.split_at(32);
            let mut s = B256::from_slice(s);
            let odd = s.first().is_some_and(|byte| byte & 0x80 != 0);
            if let Some(byte) = s.first_mut() {
                *byte &= 0x7f;
            }
            write!(
                out,
                r#"{UNRECOVERED}{weight}","signature":{{"type":"{kind}","r":"{}","s":"{s}","yParity":{}}}}}"#,
                hex::encode_prefixed(r),
                u8::from(odd)
            )
        }
        Item::Signer { weight, address } => write!(
            out,
            r#"{{"type":"signer","address":"{address:#x}","weight":"{weight}"}}"#
        ),
        Item::Contract {
            tag,
            weight,
            address,
            data,
        } => {
            let kind = match tag {
                2 => "erc1271",
                9 => "sapient",
                _ => "sapient_compact",
            };
            write!(
                out,
                r#"{UNRECOVERED}{weight}","signature":{{"type":"{kind}","address":"{address:#x}","data":"{data}"}}}}"#
            )
        }
        Item::Hash { tag: 3, hash } => write!(out, r#""{hash}""#),
        Item::Hash { tag, hash } => {
            let kind = if *tag == 5 {
                "subdigest"
            } else {
                "any-address-subdigest"
            };
            write!(out, r#"{{"type":"{kind}","digest":"{hash}"}}"#)
        }
        Item::Branch(items) => items_json(out, items),
        Item::Nested {
            weight,
            threshold,
            items,
        } => {
            out.push_str(r#"{"type":"nested","tree":"#);
            items_json(out, items)?;
            write!(out, r#","weight":"{weight}","threshold":"{threshold}"}}"#)
        }
    }
}
