//! Signatures written byte by byte: forms that no encoder of ours chooses, but that mean something.

use alloy_primitives::{Address, B256};
use keyfold_wallet::Payload;
use keyfold_wallet::payload::ANY_CHAIN;
use keyfold_wallet::signature::eth_sign_hash;

use super::build::{threshold, weight};
use crate::chain::CHAIN_ID;
use crate::keys::Keys;
use crate::mocks;
use crate::rng::Rng;

/// What the signers of one configuration sign.
struct Signed<'a> {
    keys: &'a Keys,
    hash: B256,
    any_address_hash: B256,
}

/// A signature that may be odd, and may be wrong.
pub(super) fn signature(rng: &mut Rng, keys: &Keys, payload: &Payload, wallet: Address) -> Vec<u8> {
    match rng.below(40) {
        0 => return vec![rng.pick(&[0x80, 0x82])],
        1 => return [&[0x80 | rng.byte()][..], &rng.some_bytes(40)].concat(),
        2 => return rng.some_bytes(120),
        _ => {}
    }
    let mut out = Vec::new();
    let mut flags = rng.byte() & 0x3e;
    if rng.chance(15) {
        flags |= 0x40;
    }
    out.push(flags);
    if flags & 0x40 != 0 {
        let mut checkpointer = mocks::CHECKPOINTER;
        if rng.chance(20) {
            checkpointer = rng.pick(&mocks::ALL);
        }
        out.extend(checkpointer);
        let data = rng.some_bytes(70);
        number(&mut out, data.len(), 3);
        out.extend(data);
    }
    let width = usize::from(flags >> 2) & 7;
    out.extend(rng.bytes(width));
    number(
        &mut out,
        usize::from(threshold(rng)),
        1 + usize::from(flags >> 5 & 1),
    );
    let chain_id = if flags & 0x02 == 0 {
        CHAIN_ID
    } else {
        ANY_CHAIN
    };
    let signed = Signed {
        keys,
        hash: payload.op_hash(&wallet, chain_id),
        any_address_hash: payload.op_hash(&Address::ZERO, chain_id),
    };
    let depth = if rng.chance(1) {
        3 + rng.below(130)
    } else {
        rng.below(4)
    };
    tree(rng, &signed, depth, &mut out);
    out
}

fn number(out: &mut Vec<u8>, value: usize, width: usize) {
    for place in (0..width).rev() {
        out.push(if place < 8 {
            (value >> (8 * place)) as u8
        } else {
            0
        });
    }
}

/// The weight in the tag, where it fits and is wanted so, or behind it.
fn tag(rng: &mut Rng, out: &mut Vec<u8>, kind: u8, shift: u8, largest: u8, rest: u8) -> u8 {
    let weight = weight(rng);
    if (1..=largest).contains(&weight) && rng.chance(70) {
        out.push(kind << 4 | weight << shift | rest);
    } else {
        out.extend([kind << 4 | rest, weight]);
    }
    weight
}

fn tree(rng: &mut Rng, signed: &Signed<'_>, depth: usize, out: &mut Vec<u8>) {
    let deep = depth > 3;
    let items = if deep { 2 } else { 1 + rng.below(4) };
    for index in 0..items {
        match rng.below(if depth == 0 || deep { 12 } else { 16 }) {
            _ if deep && index == 1 => inner(rng, signed, depth, out),
            0..=4 => ecdsa(rng, signed, out),
            5 | 6 => {
                tag(rng, out, 1, 0, 15, 0);
                out.extend(rng.address());
            }
            7 | 8 => contract(rng, signed, out),
            9 => {
                out.push(0x30);
                out.extend(rng.hash());
            }
            10 => {
                out.push(0x50);
                out.extend(if rng.chance(20) {
                    signed.hash
                } else {
                    rng.hash()
                });
            }
            11 => {
                out.push(0x80);
                out.extend(if rng.chance(20) {
                    signed.any_address_hash
                } else {
                    rng.hash()
                });
            }
            _ if index > 0 || rng.chance(5) => inner(rng, signed, depth - 1, out),
            _ => nested(rng, signed, depth - 1, out),
        }
    }
}

fn inner(rng: &mut Rng, signed: &Signed<'_>, depth: usize, out: &mut Vec<u8>) {
    if rng.chance(40) {
        return nested(rng, signed, depth.saturating_sub(1), out);
    }
    let mut inside = Vec::new();
    tree(rng, signed, depth.saturating_sub(1), &mut inside);
    let width = if rng.chance(80) { 2 } else { 2 + rng.below(14) };
    out.push(0x40 | width as u8);
    number(out, inside.len(), width);
    out.extend(inside);
}

fn nested(rng: &mut Rng, signed: &Signed<'_>, depth: usize, out: &mut Vec<u8>) {
    let mut inside = Vec::new();
    tree(rng, signed, depth, &mut inside);
    let threshold = threshold(rng);
    let small = (1..=3).contains(&threshold) && rng.chance(60);
    tag(rng, out, 6, 2, 3, if small { threshold as u8 } else { 0 });
    if !small {
        number(out, usize::from(threshold), 2);
    }
    number(out, inside.len(), 3);
    out.extend(inside);
}

fn ecdsa(rng: &mut Rng, signed: &Signed<'_>, out: &mut Vec<u8>) {
    let eth_sign = rng.chance(25);
    tag(rng, out, if eth_sign { 7 } else { 0 }, 0, 15, 0);
    let hash = if eth_sign {
        eth_sign_hash(&signed.hash)
    } else {
        signed.hash
    };
    let mut bytes = signed
        .keys
        .sign(rng.below(signed.keys.len()), &hash)
        .to_compact();
    // Sometimes zeros, the order, or the upper half.
    if rng.chance(2) {
        let word: [u8; 32] = rng.pick(&[
            [0; 32],
            [0xff; 32],
            super::ORDER.0,
            super::HALF_ORDER_AND_ONE.0,
        ]);
        let at = 32 * rng.below(2);
        bytes[at..at + 32].copy_from_slice(&word);
    }
    out.extend(bytes);
}

fn contract(rng: &mut Rng, signed: &Signed<'_>, out: &mut Vec<u8>) {
    let kind = rng.pick(&[2, 9, 10]);
    let mut data = if kind == 2 {
        signed.hash.to_vec()
    } else {
        rng.hash().to_vec()
    };
    data.extend(rng.some_bytes(30));
    let width = 1 + rng.below(3);
    tag(rng, out, kind, 0, 3, (width as u8) << 2);
    let right = if kind == 2 {
        mocks::BOUND
    } else {
        rng.pick(&[mocks::ECHO, mocks::DIGEST])
    };
    out.extend(if rng.chance(5) {
        rng.pick(&mocks::ALL)
    } else {
        right
    });
    number(out, data.len(), width);
    out.extend(data);
}
