//! Random wallets, payloads, and signatures that are good as far as they go.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, U256, keccak256};
use keyfold_wallet::config::ValidConfig;
use keyfold_wallet::payload::ANY_CHAIN;
use keyfold_wallet::signature::{
    Header, Parts, Request, SignaturePart, concat, encode_chain, encode_unjudged, eth_sign_hash,
};
use keyfold_wallet::{BehaviorOnError, Call, Config, Encoding, Payload, PayloadBody, Topology};

use crate::chain::CHAIN_ID;
use crate::keys::Keys;
use crate::mocks::{self, BOUND, CHECKPOINTER, DIGEST, ECHO};
use crate::rng::Rng;

fn call(rng: &mut Rng) -> Call {
    Call {
        to: rng.address(),
        value: rng.number(),
        data: rng.some_bytes(70).into(),
        gas_limit: rng.number(),
        delegate_call: rng.chance(10),
        only_fallback: rng.chance(10),
        behavior_on_error: rng.pick(&[
            BehaviorOnError::Ignore,
            BehaviorOnError::Revert,
            BehaviorOnError::Abort,
        ]),
    }
}

pub(crate) fn payload(rng: &mut Rng) -> Payload {
    let any: U256 = rng.hash().into();
    let body = match rng.below(5) {
        0 => PayloadBody::Calls {
            space: rng.pick(&[U256::ZERO, U256::from(7), any >> 96]).to(),
            nonce: rng.next() >> rng.pick(&[8, 32, 63]),
            calls: (0..rng.below(4)).map(|_| call(rng)).collect(),
        },
        1 => PayloadBody::Message(rng.some_bytes(100).into()),
        2 => PayloadBody::ConfigUpdate(rng.hash()),
        _ => PayloadBody::Digest(rng.hash()),
    };
    let parents = if rng.chance(80) { 0 } else { 1 + rng.below(2) };
    Payload {
        body,
        parent_wallets: (0..parents).map(|_| rng.address()).collect(),
    }
}

pub(super) fn weight(rng: &mut Rng) -> u8 {
    match rng.below(12) {
        0..=5 => 1,
        6 => 2,
        7 => 3,
        8 => rng.pick(&[4, 15, 16]),
        9 => 255,
        10 => 0,
        _ => rng.byte(),
    }
}

pub(super) fn threshold(rng: &mut Rng) -> u16 {
    match rng.below(20) {
        0..=13 => 1 + rng.below(3) as u16,
        14 | 15 => 1 + rng.below(300) as u16,
        16 => rng.pick(&[0xff, 0x100, 0xffff]),
        17 => u16::from(rng.chance(50)),
        _ => 1,
    }
}

/// One configuration's signature, as it is made.
struct Link<'a> {
    keys: &'a Keys,
    request: Request<'a>,
    op_hash: B256,
    any_address_hash: B256,
    /// What contracts are shown, and whether those that see payloads see only the hash.
    echo: Vec<u8>,
    digest: Vec<u8>,
    bound: Vec<u8>,
    compact: bool,
}

impl Link<'_> {
    fn leaf(&self, rng: &mut Rng, depth: usize) -> Topology {
        let weight = weight(rng);
        match rng.below(14) {
            0..=5 => Topology::Signer {
                address: self.keys.address(rng.below(self.keys.len())),
                weight,
            },
            6 => Topology::Signer {
                address: BOUND,
                weight,
            },
            7 => Topology::Sapient {
                address: ECHO,
                weight,
                image_hash: B256::from_slice(&self.echo[..32]),
            },
            8 => Topology::Sapient {
                address: DIGEST,
                weight,
                image_hash: keccak256(if self.compact {
                    mocks::compact_call(&self.op_hash, &self.digest)
                } else {
                    mocks::sapient_call(&self.request, &self.digest)
                }),
            },
            9 if rng.chance(30) => Topology::Subdigest(self.op_hash),
            9 => Topology::Subdigest(rng.hash()),
            10 if rng.chance(30) => Topology::AnyAddressSubdigest(self.any_address_hash),
            10 => Topology::AnyAddressSubdigest(rng.hash()),
            11 if depth > 0 => Topology::Nested {
                tree: Box::new(self.tree(rng, depth - 1)),
                weight,
                threshold: threshold(rng),
            },
            11 | 12 => Topology::Node(rng.hash()),
            _ => Topology::Signer {
                address: rng.address(),
                weight,
            },
        }
    }

    fn tree(&self, rng: &mut Rng, depth: usize) -> Topology {
        if depth > 0 && rng.chance(65) {
            Topology::branch(self.tree(rng, depth - 1), self.tree(rng, depth - 1))
        } else {
            self.leaf(rng, depth)
        }
    }

    /// Signs for a random part of those who can.
    fn parts(&self, rng: &mut Rng, tree: &Topology) -> Parts {
        let mut signers = BTreeSet::new();
        collect(tree, &mut signers);
        let mut parts = Parts::new();
        for key in 0..self.keys.len() {
            let address = self.keys.address(key);
            if signers.contains(&address) && rng.chance(60) {
                let part = if rng.chance(75) {
                    SignaturePart::EcdsaHash(self.keys.sign(key, &self.op_hash))
                } else {
                    SignaturePart::EthSign(self.keys.sign(key, &eth_sign_hash(&self.op_hash)))
                };
                parts.insert(address, part);
            }
        }
        let sapient = |data: &[u8]| {
            let data = data.to_vec().into();
            if self.compact {
                SignaturePart::SapientCompact(data)
            } else {
                SignaturePart::Sapient(data)
            }
        };
        let contracts = [
            (ECHO, sapient(&self.echo)),
            (DIGEST, sapient(&self.digest)),
            (BOUND, SignaturePart::Erc1271(self.bound.clone().into())),
        ];
        for (address, part) in contracts {
            if signers.contains(&address) && rng.chance(70) {
                parts.insert(address, part);
            }
        }
        parts
    }
}

fn collect(tree: &Topology, signers: &mut BTreeSet<Address>) {
    match tree {
        Topology::Signer { address, .. } | Topology::Sapient { address, .. } => {
            signers.insert(*address);
        }
        Topology::Nested { tree, .. } => collect(tree, signers),
        Topology::Branch(left, right) => {
            collect(left, signers);
            collect(right, signers);
        }
        _ => {}
    }
}

/// A signature of one configuration or a chain of some, and the image hash of the last.
pub(super) fn signature(
    rng: &mut Rng,
    keys: &Keys,
    payload: &Payload,
    wallet: Address,
) -> (Vec<u8>, B256) {
    let count = if rng.chance(70) { 1 } else { 1 + rng.below(4) };
    let chained = count > 1 || rng.chance(5);
    let encoding = rng.pick(&[Encoding::Shortest, Encoding::Npm]);
    let mut checkpoint = rng.next() >> rng.pick(&[8, 16, 32, 56, 63]);
    let mut payload = payload.clone();
    let mut links: Vec<(Config, Parts, Header)> = Vec::new();
    for index in 0..count {
        let header = Header {
            no_chain_id: rng.chance(30),
            checkpointer_data: None,
            encoding,
        };
        let request = Request {
            payload: &payload,
            wallet,
            chain_id: if header.no_chain_id {
                ANY_CHAIN
            } else {
                CHAIN_ID
            },
        };
        let op_hash = payload.op_hash(&wallet, request.chain_id);
        let mut echo = rng.hash().to_vec();
        echo.extend(rng.some_bytes(20));
        let mut bound = op_hash.to_vec();
        bound.extend(rng.some_bytes(300));
        let link = Link {
            keys,
            request,
            op_hash,
            any_address_hash: payload.op_hash(&Address::ZERO, request.chain_id),
            echo,
            digest: rng.some_bytes(100),
            bound,
            compact: rng.chance(50),
        };
        let depth = rng.below(5);
        let config = Config {
            threshold: threshold(rng),
            checkpoint,
            checkpointer: rng.chance(25).then_some(CHECKPOINTER),
            topology: link.tree(rng, depth),
        };
        let parts = link.parts(rng, &config.topology);
        let image_hash = config.image_hash();
        links.push((config, parts, header));
        if rng.chance(97) {
            checkpoint = checkpoint.saturating_sub(1 + rng.next() % 3);
        }
        if index + 1 < count {
            payload = PayloadBody::ConfigUpdate(image_hash).into();
        }
    }
    if let Some((config, _, header)) = links.last()
        && config.checkpointer.is_some()
    {
        let hashes: Vec<B256> = links
            .iter()
            .map(|(config, ..)| config.image_hash())
            .collect();
        let mut data = Vec::new();
        if rng.chance(80) {
            data.extend(if rng.chance(60) {
                rng.pick(&hashes)
            } else {
                rng.hash()
            });
            let snapshot = match rng.below(4) {
                0 => rng.hash().into(),
                1 => U256::from(config.checkpoint),
                2 => U256::from(config.checkpoint.saturating_add(1)),
                _ => U256::from(config.checkpoint.saturating_sub(1)),
            };
            data.extend(snapshot.to_be_bytes::<32>());
        }
        let header = Header {
            checkpointer_data: Some(data.into()),
            ..header.clone()
        };
        if let Some(last) = links.last_mut() {
            last.2 = header;
        }
    }
    let image_hash = links.last().unwrap().0.image_hash();
    (join(&links, chained), image_hash)
}

fn join(links: &[(Config, Parts, Header)], chained: bool) -> Vec<u8> {
    if !chained {
        let (config, parts, header) = &links[0];
        return encode_unjudged(config, parts, header).unwrap().into();
    }
    // Valid configurations by the encoder of chains; what it would not take, bytes joined to bytes.
    let valid: Result<Vec<ValidConfig>, _> = links
        .iter()
        .map(|(config, ..)| ValidConfig::with_hidden_nodes(config.clone()))
        .collect();
    if let Ok(valid) = valid {
        let links: Vec<_> = valid
            .iter()
            .zip(links)
            .map(|(config, (_, parts, header))| (config, parts, header.clone()))
            .collect();
        return encode_chain(&links).unwrap().into();
    }
    let encoded: Vec<_> = links
        .iter()
        .map(|(config, parts, header)| encode_unjudged(config, parts, header).unwrap())
        .collect();
    let encoded: Vec<&[u8]> = encoded.iter().map(AsRef::as_ref).collect();
    concat(&encoded).unwrap().into()
}
