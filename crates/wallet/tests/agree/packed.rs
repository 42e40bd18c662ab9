//! Packed calls: what a wallet makes of them, seen by `selfExecute`, against `payload::unpack`.
//!
//! The wallet runs what it has read. Its events carry the hash of it, and where it gives up it
//! says all that it has read.

use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, B256, U256, hex};
use keyfold_wallet::payload::{Payload, PayloadBody, abi_decode, pack, unpack};
use keyfold_wallet::{BehaviorOnError, Call, Encoding};

use crate::chain::{Answer, CHAIN_ID, Chain, selector};
use crate::mocks;
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

const ERRORS: &[Row] = &[
    row("Truncated", 1, &["Truncated()"]),
    row("TrailingBytes", 1, &["InvalidPackedLength()"]),
    row("UnknownFlag", 1, &["InvalidPackedFlag(uint256)"]),
    row("UnknownBehavior", 1, &["InvalidPackedFlag(uint256)"]),
];

/// What the wallet gives up with while it runs, and which begins with all that it has read.
const WHILE_RUNNING: [&str; 2] = ["Reverted(", "NotEnoughGas("];
const STRUCT: &str = "(uint8,bool,(address,uint256,bytes,uint256,bool,bool,uint256)[],uint256,uint256,\
                      bytes,bytes32,bytes32,address[]),uint256,";

pub(crate) struct Packed {
    chain: Chain,
    table: Table,
    wallet: Address,
    while_running: [[u8; 4]; 2],
}

impl Packed {
    pub(crate) fn new() -> Self {
        let mut chain = Chain::new();
        let wallet = Address::repeat_byte(0x3a);
        chain.set_wallet(wallet, chain.at("Stage2"));
        Self {
            chain,
            table: Table::new(ERRORS, &["Stage2"]),
            wallet,
            while_running: [
                selector(&format!("{}{STRUCT}bytes)", WHILE_RUNNING[0])),
                selector(&format!("{}{STRUCT}uint256)", WHILE_RUNNING[1])),
            ],
        }
    }

    /// Some calls, and four things that come of them.
    pub(crate) fn run(&mut self, mut rng: Rng, tally: &mut Tally) {
        let rng = &mut rng;
        let (good, donor) = (self.packed(rng), self.packed(rng));
        let places: Vec<usize> = (0..good.len().min(30)).collect();
        for variant in 0..5 {
            let bytes = if variant == 0 {
                good.clone()
            } else {
                mutate(rng, &good, &places, &donor)
            };
            let mut data = selector("selfExecute(bytes)").to_vec();
            data.extend(U256::from(32).to_be_bytes::<32>());
            data.extend(U256::from(bytes.len()).to_be_bytes::<32>());
            data.extend(&bytes);
            data.resize(
                data.len() + bytes.len().next_multiple_of(32) - bytes.len(),
                0,
            );
            let mut answer = self.chain.ask(self.wallet, self.wallet, data);
            let rust = unpack(&bytes, &self.wallet).map_err(|error| name(&error));
            let mut read = None;
            match &answer {
                Answer::Reverted(data)
                    if self.while_running.iter().any(|head| data.starts_with(head)) =>
                {
                    read = Some(decoded(data));
                    answer = Answer::Returned(Default::default(), Vec::new());
                }
                // Room for tens of thousands of calls costs more gas than there is; the proxy then
                // has nothing to say. Only a count of two bytes asks for it.
                Answer::Halted(_) | Answer::Reverted(_)
                    if silent(&answer)
                        && rust.is_err()
                        && bytes.first().is_some_and(|flags| flags & 0x30 == 0x20) =>
                {
                    *tally
                        .known
                        .entry("out of gas before the end of the calls")
                        .or_default() += 1;
                    continue;
                }
                _ => {}
            }
            let wallet = self.wallet;
            tally.compare(
                &self.table,
                (&answer, &rust),
                |found, answer| same(found, read.as_ref(), answer, wallet),
                || format!("wallet {wallet}, packed {}", hex::encode(&bytes)),
            );
        }
    }

    fn packed(&self, rng: &mut Rng) -> Vec<u8> {
        let count = if rng.chance(97) {
            rng.below(5)
        } else {
            256 + rng.below(3)
        };
        let calls = (0..count).map(|_| call(rng, self.wallet)).collect();
        let space: U256 = if rng.chance(50) {
            U256::ZERO
        } else {
            rng.hash().into()
        };
        let payload = Payload::calls(
            U160::from(space >> 96usize),
            rng.next() >> (8 + rng.below(57)).min(63),
            calls,
        );
        let wallet = rng.chance(70).then_some(&self.wallet);
        let encoding = rng.pick(&[Encoding::Shortest, Encoding::Npm]);
        pack(&payload, wallet, encoding).unwrap()
    }
}

fn call(rng: &mut Rng, wallet: Address) -> Call {
    let to = if rng.chance(10) {
        wallet
    } else {
        rng.pick(&mocks::ALL)
    };
    Call {
        to,
        value: if rng.chance(70) {
            U256::ZERO
        } else {
            rng.number()
        },
        data: rng.some_bytes(70).into(),
        gas_limit: match rng.below(10) {
            0 => rng.number(),
            1 => U256::from(1000),
            _ => U256::ZERO,
        },
        delegate_call: rng.chance(10),
        only_fallback: rng.chance(20),
        behavior_on_error: if rng.chance(80) {
            BehaviorOnError::Ignore
        } else {
            BehaviorOnError::Revert
        },
    }
}

/// The payload at the beginning of an error's arguments.
fn decoded(revert: &[u8]) -> Payload {
    let mut bytes = U256::from(32).to_be_bytes::<32>().to_vec();
    let offset = U256::from_be_slice(&revert[4..36]).to::<usize>();
    bytes.extend_from_slice(&revert[4 + offset..]);
    abi_decode(&bytes).unwrap().0
}

fn same(found: &Payload, read: Option<&Payload>, answer: &Answer, wallet: Address) -> bool {
    if let Some(read) = read {
        return read == found;
    }
    let Answer::Returned(_, logs) = answer else {
        return false;
    };
    let hash = found.op_hash(&wallet, CHAIN_ID);
    let calls = match &found.body {
        PayloadBody::Calls { calls, .. } => calls.len(),
        _ => return false,
    };
    // One event for each call, until one aborts.
    let events: Vec<B256> = logs
        .iter()
        .filter(|log| log.address == wallet)
        .filter_map(|log| log.data.topics().get(1).copied())
        .collect();
    events.len() <= calls
        && (calls == 0 || !events.is_empty())
        && events.iter().all(|one| *one == hash)
}

fn silent(answer: &Answer) -> bool {
    match answer {
        Answer::Halted(reason) => reason.contains("OutOfGas"),
        Answer::Reverted(data) => data.is_empty(),
        Answer::Returned(..) => false,
    }
}
