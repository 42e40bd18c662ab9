//! Signatures of wallets: `recoverPartialSignature` and `isValidSignature` against
//! `signature::decode` and `signature::recover`.

mod build;
mod errors;
mod places;
mod raw;

use alloy_primitives::{Address, B256, U256, b256, hex, keccak256};
use keyfold_wallet::payload::abi_encode;
use keyfold_wallet::signature::{
    Decoded, Recovered, Request, StaticApproval, decode, recover, recover_partial, recover_static,
};
use keyfold_wallet::{Payload, PayloadBody};

pub(crate) use build::payload;

use crate::chain::{Answer, CHAIN_ID, Chain, NOW, arguments, selector};
use crate::keys::Keys;
use crate::mocks::Mocks;
use crate::mutate::mutate;
use crate::rng::Rng;
use crate::verdict::{Table, Tally, name};

/// The order of secp256k1.
const ORDER: B256 = b256!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
/// The first `s` that does not count.
const HALF_ORDER_AND_ONE: B256 =
    b256!("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a1");
/// Where a wallet of the second stage keeps its image hash.
const IMAGE_HASH: B256 = b256!("ea7157fa25e3aa17d0ae2d5280fa4e24d421c61842aa85e45194e1145aa72bf8");
/// Where a wallet keeps its static signatures.
const STATIC: B256 = b256!("c852adf5e97c2fc3b38f405671e91b7af1697ef0287577f227ef10494c2a8e86");

/// Selector of `isValidSignature(bytes32,bytes)`, and its magic answer.
const IS_VALID_SIGNATURE: [u8; 4] = hex!("1626ba7e");

const CALLER: Address = Address::repeat_byte(0xca);

pub(crate) struct Wallets {
    chain: Chain,
    keys: Keys,
    table: Table,
    recover_partial: [u8; 4],
}

/// A signature, for a wallet and what it is asked to approve.
struct Case<'a> {
    payload: &'a Payload,
    wallet: Address,
    /// The wallet's configuration.
    image_hash: B256,
    approval: Option<(B256, StaticApproval)>,
    bytes: Vec<u8>,
}

impl Wallets {
    pub(crate) fn new() -> Self {
        Self {
            chain: Chain::new(),
            keys: Keys::secp256k1(),
            table: Table::new(errors::ERRORS, &["Stage1", "Stage2"]),
            recover_partial: selector(
                "recoverPartialSignature((uint8,bool,(address,uint256,bytes,uint256,bool,bool,\
                 uint256)[],uint256,uint256,bytes,bytes32,bytes32,address[]),bytes)",
            ),
        }
    }

    /// One signature, and four that come of it.
    pub(crate) fn run(&mut self, mut rng: Rng, tally: &mut Tally) {
        let rng = &mut rng;
        let payload = payload(rng);
        let mut wallet = rng.address();
        let mut stage = "Stage2";
        let (bytes, image_hash) = if rng.chance(60) {
            let mut made = build::signature(&mut rng.clone(), &self.keys, &payload, wallet);
            if rng.chance(30) {
                // The wallet of this configuration, as the factory makes it. What is signed has its
                // address: the same again, unless a leaf is made of what is signed.
                stage = "Stage1";
                let image_hash = made.1;
                wallet = self.counterfactual(&image_hash);
                made = build::signature(&mut rng.clone(), &self.keys, &payload, wallet);
                made.1 = image_hash;
            }
            made
        } else {
            (
                raw::signature(rng, &self.keys, &payload, wallet),
                rng.hash(),
            )
        };
        let donor = raw::signature(rng, &self.keys, &payload, wallet);
        let places = places::places(&bytes);
        self.chain.set_wallet(wallet, self.chain.at(stage));
        if stage == "Stage2" {
            self.chain.set_storage(wallet, IMAGE_HASH, image_hash);
        }
        let approval = bytes.first().is_some_and(|flags| flags & 0x80 != 0);
        let approval = approval.then(|| self.approve(rng, &payload, wallet));
        let mut case = Case {
            payload: &payload,
            wallet,
            image_hash,
            approval,
            bytes,
        };
        let original = case.bytes.clone();
        for variant in 0..5 {
            if variant > 0 {
                case.bytes = mutate(rng, &original, &places, &donor);
            }
            self.recover(&case, tally);
            if variant % 2 == 0 && payload.parent_wallets.is_empty() {
                self.validate(&case, tally);
            }
        }
        self.chain.remove(wallet);
    }

    /// A key's leaf within so many nested trees, or branches.
    pub(crate) fn nested(&mut self, levels: usize, branches: bool, tally: &mut Tally) {
        let payload = Payload::from(PayloadBody::ConfigUpdate(B256::repeat_byte(1)));
        let wallet = Address::repeat_byte(0x3b);
        let hash = payload.op_hash(&wallet, CHAIN_ID);
        let mut tree = vec![0x01];
        tree.extend(self.keys.sign(0, &hash).to_compact());
        for _ in 0..levels {
            let length = (tree.len() as u32).to_be_bytes();
            if branches {
                let node = [&[0x30][..], &[0x11; 32]].concat();
                let head = [0x43, length[1], length[2], length[3]];
                tree.splice(0..0, node.into_iter().chain(head));
            } else {
                tree.splice(0..0, [0x65, length[1], length[2], length[3]]);
            }
        }
        tree.splice(0..0, [0x00, 0x01]);
        self.chain.set_wallet(wallet, self.chain.at("Stage2"));
        let case = Case {
            payload: &payload,
            wallet,
            image_hash: B256::ZERO,
            approval: None,
            bytes: tree,
        };
        self.recover(&case, tally);
    }

    fn counterfactual(&self, image_hash: &B256) -> Address {
        let mut context = keyfold_wallet::Context::keyfold();
        context.factory = self.chain.at("Factory");
        context.stage1 = self.chain.at("Stage1");
        keyfold_wallet::wallet_address(image_hash, &context)
    }

    /// Stores an approval that may be for what is asked.
    fn approve(
        &mut self,
        rng: &mut Rng,
        payload: &Payload,
        wallet: Address,
    ) -> (B256, StaticApproval) {
        let chain_id = rng.pick(&[0, CHAIN_ID]);
        let op_hash = payload.op_hash(&wallet, chain_id);
        let approval = StaticApproval {
            caller: rng.pick(&[Address::ZERO, CALLER, Address::repeat_byte(1)]),
            expiry: rng.pick(&[0, u128::from(NOW), u128::from(NOW) + 1, u128::MAX >> 32]),
            asking: CALLER,
            now_unix_seconds: NOW,
        };
        let slot = keccak256([STATIC, op_hash].concat());
        let mut entry = approval.caller.to_vec();
        entry.extend_from_slice(&approval.expiry.to_be_bytes()[4..]);
        self.chain
            .set_storage(wallet, slot, B256::from_slice(&entry));
        (op_hash, approval)
    }

    fn recover(&mut self, case: &Case<'_>, tally: &mut Tally) {
        let mut data = self.recover_partial.to_vec();
        // What the struct says of the chain does not count: the signature does.
        data.extend(arguments(
            &abi_encode(case.payload, case.bytes.len().is_multiple_of(2))[32..],
            &case.bytes,
        ));
        let answer = self.chain.ask(CALLER, case.wallet, data);
        let request = case.request();
        let mocks = Mocks {
            wallet: case.wallet,
            approval: None,
        };
        let rust = match decode(&case.bytes) {
            Err(error) => Err(format!("Decode{}", name(&error))),
            Ok(decoded) => recover_partial(&request, &decoded, &mocks)
                .map_err(|error| format!("Recover{}", name(&error))),
        };
        let same = |found: &Recovered, answer: &Answer| {
            let valid = found.image_hash == case.image_hash;
            let expected = [
                U256::from(found.threshold).into(),
                found.weight.into(),
                U256::from(valid).into(),
                found.image_hash,
                U256::from(found.checkpoint).into(),
                found.op_hash,
            ];
            expected
                .iter()
                .enumerate()
                .all(|(index, word)| answer.word(index) == *word)
        };
        tally.compare(&self.table, (&answer, &rust), same, || case.describe());
    }

    fn validate(&mut self, case: &Case<'_>, tally: &mut Tally) {
        let PayloadBody::Digest(digest) = &case.payload.body else {
            return;
        };
        let mut data = crate::mocks::compact_call(digest, &case.bytes);
        data[..4].copy_from_slice(&IS_VALID_SIGNATURE);
        let answer = self.chain.ask(CALLER, case.wallet, data);
        let request = case.request();
        let mocks = Mocks {
            wallet: case.wallet,
            approval: Some(case.approval.unwrap_or((B256::ZERO, NO_APPROVAL))),
        };
        let rust = match decode(&case.bytes) {
            Err(error) => Err(format!("Decode{}", name(&error))),
            Ok(Decoded::Static { no_chain_id }) => recover_static(&request, no_chain_id, &mocks)
                .map(|_| true)
                .map_err(|error| format!("Recover{}", name(&error))),
            Ok(decoded) => recover(&request, &decoded, &mocks)
                .map(|found| found.image_hash == case.image_hash)
                .map_err(|error| format!("Recover{}", name(&error))),
        };
        let same = |valid: &bool, answer: &Answer| {
            let magic = U256::from(u32::from(*valid) * 0x1626_ba7e) << 224;
            answer.word(0) == B256::from(magic)
        };
        tally.compare(&self.table, (&answer, &rust), same, || case.describe());
    }
}

const NO_APPROVAL: StaticApproval = StaticApproval {
    caller: Address::ZERO,
    expiry: 0,
    asking: CALLER,
    now_unix_seconds: NOW,
};

impl Case<'_> {
    fn request(&self) -> Request<'_> {
        Request {
            payload: self.payload,
            wallet: self.wallet,
            chain_id: CHAIN_ID,
        }
    }

    fn describe(&self) -> String {
        format!(
            "wallet {}, image hash {}, payload {}, signature {}",
            self.wallet,
            self.image_hash,
            hex::encode(abi_encode(self.payload, false)),
            hex::encode(&self.bytes)
        )
    }
}
