//! Recovery trees: `Recovery.recoverSapientSignatureCompact` against `recovery::recover`.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256, hex};
use keyfold_wallet::Encoding;
use keyfold_wallet::payload::abi_encode;
use keyfold_wallet::recovery::{
    KEYFOLD_WINDOW_SECONDS, RecoveryError, RecoveryLeaf, RecoveryReader, RecoveryTree,
    membership_hash, recover,
};

use crate::chain::{Answer, CHAIN_ID, Chain, NOW, selector};
use crate::keys::Keys;
use crate::mocks::compact_call;
use crate::mutate::mutate;
use crate::rng::Rng;
use crate::verdict::{Row, Table, Tally, name};

const fn row(rust: &'static str, pass: u8, solidity: &'static [&'static str]) -> Row {
    Row {
        rust,
        pass,
        solidity,
    }
}

/// Pass 1 reads the tree, pass 2 looks for a leaf whose time has come.
const ERRORS: &[Row] = &[
    row("TreeTruncated", 1, &["Truncated()"]),
    row("TreeUnknownFlag", 1, &["InvalidSignatureFlag(uint256)"]),
    row("TreeZeroSigner", 1, &["ZeroSigner()"]),
    row("TreeMalformedTree", 1, &["MalformedTree()"]),
    row("TreeTooDeep", 1, &["TooDeep()"]),
    row("NotReady", 2, &["QueueNotReady(address,bytes32)"]),
];

pub(crate) struct Recoveries {
    chain: Chain,
    keys: Keys,
    table: Table,
}

/// What stands in the queue.
struct Queue {
    now: u64,
    contract: Address,
    queued: BTreeMap<(Address, B256), u64>,
    cancelled: BTreeMap<Address, u64>,
}

impl RecoveryReader for Queue {
    fn queued_at(&self, _wallet: &Address, signer: &Address, hash: &B256) -> Option<u64> {
        Some(
            self.queued
                .get(&(*signer, *hash))
                .copied()
                .unwrap_or_default(),
        )
    }

    fn now_unix_seconds(&self) -> u64 {
        self.now
    }

    fn cancelled_until(&self, _wallet: &Address, signer: &Address) -> Option<u64> {
        Some(self.cancelled.get(signer).copied().unwrap_or_default())
    }

    fn window_seconds(&self) -> Option<u64> {
        Some(KEYFOLD_WINDOW_SECONDS)
    }

    fn keyfold_contract(&self) -> Option<(Address, u64)> {
        Some((self.contract, CHAIN_ID))
    }
}

impl Recoveries {
    pub(crate) fn new() -> Self {
        Self {
            chain: Chain::new(),
            keys: Keys::secp256k1(),
            table: Table::new(ERRORS, &["Recovery"]),
        }
    }

    /// A tree and a queue, asked about three times.
    pub(crate) fn run(&mut self, mut rng: Rng, tally: &mut Tally) {
        let rng = &mut rng;
        let wallet = rng.address();
        let payload = crate::wallet::payload(rng);
        let mut queue = Queue {
            now: NOW,
            contract: self.chain.at("Recovery"),
            queued: BTreeMap::new(),
            cancelled: BTreeMap::new(),
        };
        let mut hash = payload.op_hash(&wallet, CHAIN_ID);
        for key in 0..4 {
            self.queue(rng, &mut queue, wallet, key, &payload);
        }
        self.chain.set_time(NOW);
        let tree = tree(rng, &self.keys);
        let donor = self::tree(rng, &self.keys);
        match rng.below(20) {
            0 => hash = rng.hash(),
            1..=3 => {
                let signer = self.keys.address(rng.below(6));
                hash = membership_hash(&queue.contract, CHAIN_ID, &wallet, &signer);
            }
            _ => {}
        }
        let places = if rng.chance(40) {
            places(&tree)
        } else {
            Vec::new()
        };
        for variant in 0..3 {
            let bytes = if variant == 0 {
                tree.clone()
            } else {
                mutate(rng, &tree, &places, &donor)
            };
            let answer = self
                .chain
                .ask_on(wallet, queue.contract, compact_call(&hash, &bytes));
            let rust = recover(&bytes, &wallet, &hash, &queue).map_err(|error| match error {
                RecoveryError::Tree(error) => format!("Tree{}", name(&error)),
                other => name(&other),
            });
            tally.compare(
                &self.table,
                (&answer, &rust),
                |root, answer| answer.word(0) == *root,
                || format!("wallet {wallet}, hash {hash}, tree {}", hex::encode(&bytes)),
            );
        }
        self.chain.forget();
    }

    /// Queues a payload for a key, and cancels, at some time, or not.
    fn queue(
        &mut self,
        rng: &mut Rng,
        queue: &mut Queue,
        wallet: Address,
        key: usize,
        payload: &keyfold_wallet::Payload,
    ) {
        let signer = self.keys.address(key);
        let ago = match rng.below(6) {
            0 => return,
            1 => rng.below(3) as u64,
            2 => KEYFOLD_WINDOW_SECONDS + 99 + rng.below(3) as u64,
            _ => 99 + rng.below(3) as u64,
        };
        self.chain.set_time(NOW - ago);
        let signature = self
            .keys
            .sign(key, &payload.recovery_hash(&wallet, CHAIN_ID))
            .to_compact();
        let mut data = selector(
            "queuePayload(address,address,(uint8,bool,(address,uint256,bytes,uint256,bool,bool,\
             uint256)[],uint256,uint256,bytes,bytes32,bytes32,address[]),bytes)",
        )
        .to_vec();
        let structure = &abi_encode(payload, false)[32..];
        let numbers = [U256::from(128), U256::from(128 + structure.len())];
        data.extend(wallet.into_word());
        data.extend(signer.into_word());
        data.extend(numbers.iter().flat_map(|number| number.to_be_bytes::<32>()));
        data.extend(structure);
        data.extend(U256::from(64).to_be_bytes::<32>());
        data.extend(signature);
        let answer = self.chain.ask_on(wallet, queue.contract, data);
        assert!(matches!(answer, Answer::Returned(..)), "{answer:?}");
        let hash = payload.op_hash(&wallet, CHAIN_ID);
        queue.queued.insert((signer, hash), NOW - ago);
        if rng.chance(15) {
            let later = (NOW - ago + rng.below(3) as u64).saturating_sub(1).min(NOW);
            self.chain.set_time(later);
            let mut data = selector("cancelRecovery(address,address,bytes)").to_vec();
            data.extend(wallet.into_word());
            data.extend(signer.into_word());
            data.extend(U256::from(96).to_be_bytes::<32>());
            data.extend([0; 32]);
            let answer = self.chain.ask_on(signer, queue.contract, data);
            assert!(matches!(answer, Answer::Returned(..)), "{answer:?}");
            queue.cancelled.insert(signer, later);
        }
    }
}

/// A tree, in bytes: as an encoder writes it, or with more beside each other.
fn tree(rng: &mut Rng, keys: &Keys) -> Vec<u8> {
    let many = rng.chance(2);
    let count = if many {
        60 + rng.below(12)
    } else {
        1 + rng.below(6)
    };
    let leaves: Vec<RecoveryLeaf> = (0..count).map(|_| leaf(rng, keys)).collect();
    if many {
        let one = |leaf: &RecoveryLeaf| RecoveryTree::Leaf(*leaf).encode(Encoding::Npm).unwrap();
        return leaves.iter().flat_map(one).collect();
    }
    let tree = RecoveryTree::balanced(&leaves).unwrap();
    let signer = leaves[rng.below(leaves.len())].signer;
    let tree = if rng.chance(60) {
        tree.trimmed(&signer).unwrap()
    } else {
        tree
    };
    let mut out = tree.encode(Encoding::Npm).unwrap();
    if rng.chance(1) {
        for _ in 0..55 + rng.below(12) {
            let mut outer = RecoveryTree::Node(rng.hash())
                .encode(Encoding::Npm)
                .unwrap();
            outer.push(4);
            outer.extend(&(out.len() as u32).to_be_bytes()[1..]);
            outer.append(&mut out);
            out = outer;
        }
    }
    out
}

fn leaf(rng: &mut Rng, keys: &Keys) -> RecoveryLeaf {
    RecoveryLeaf {
        signer: keys.address(rng.below(5)),
        required_delta_seconds: if rng.chance(80) {
            rng.pick(&[0, 1, 100])
        } else {
            rng.next() as u32 >> 8
        },
        min_timestamp: if rng.chance(80) {
            0
        } else {
            NOW - 102 + rng.below(5) as u64
        },
    }
}

/// Where flags and lengths stand.
fn places(bytes: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut at = 0;
    while let Some(flag) = bytes.get(at) {
        places.push(at);
        at += match flag {
            1 => 32,
            3 => 33,
            4 => {
                places.extend([at + 1, at + 2, at + 3]);
                4
            }
            _ => break,
        };
    }
    places
}
