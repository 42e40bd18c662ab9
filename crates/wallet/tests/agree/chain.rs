//! The committed contracts on an EVM in this process, by the rules of cancun.

use std::collections::BTreeMap;
use std::path::PathBuf;

use alloy_primitives::{Address, B256, Bytes, U256, address, hex, keccak256};
use revm::bytecode::Bytecode;
use revm::context::result::ExecutionResult;
use revm::context::{BlockEnv, CfgEnv, Context, ContextTr, TxEnv};
use revm::database::{CacheDB, EmptyDB};
use revm::handler::{MainnetContext, MainnetEvm, SystemCallEvm};
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Log, StorageKey};
use revm::state::AccountInfo;
use revm::{DatabaseCommit, ExecuteEvm, MainBuilder};
use serde_json::Value;

type Database = CacheDB<EmptyDB>;

/// The chain that everything here is signed for.
pub(crate) const CHAIN_ID: u64 = 31;
/// Time of the block, in Unix seconds, until it is set.
pub(crate) const NOW: u64 = 1_800_000_000;

/// The deterministic deployer, which is on every chain at this address.
const DEPLOYER: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");
const DEPLOYER_CODE: [u8; 69] = hex!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe0360160008160208237803582\
     8234f58015156039578182fd5b8082525050506014600cf3"
);
/// Runtime code of every wallet: delegates to what its own slot says.
const PROXY_CODE: [u8; 33] =
    hex!("3d3d36153402601f57363d3d373d363d30545af43d82803e903d91601f57fd5bf3");

/// What a contract said.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Returned(Bytes, Vec<Log>),
    Reverted(Bytes),
    Halted(String),
}

impl Answer {
    /// A word of what was returned.
    #[track_caller]
    pub(crate) fn word(&self, index: usize) -> B256 {
        match self {
            Self::Returned(bytes, _) => B256::from_slice(&bytes[index * 32..index * 32 + 32]),
            other => panic!("{other:?} has no words"),
        }
    }
}

pub(crate) struct Chain {
    evm: MainnetEvm<MainnetContext<Database>>,
    deployed: BTreeMap<String, Address>,
}

/// Reads a file below `contracts/`, when the test runs: the artifacts may be newer than the test.
fn contracts_file(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../contracts")
        .join(name);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// The committed artifact of a contract.
pub(crate) fn artifact(name: &str) -> Value {
    contracts_file(&format!("artifacts/{name}.json"))
}

fn hex_field(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

impl Chain {
    /// A chain with all that `deployments.json` names, and the mocks.
    pub(crate) fn new() -> Self {
        let mut cfg = CfgEnv::new_with_spec(SpecId::CANCUN);
        cfg.chain_id = CHAIN_ID;
        let block = BlockEnv {
            timestamp: U256::from(NOW),
            ..BlockEnv::default()
        };
        let context: MainnetContext<Database> =
            Context::<BlockEnv, TxEnv, CfgEnv, Database>::new(Database::default(), SpecId::CANCUN)
                .with_cfg(cfg)
                .with_block(block);
        let mut chain = Self {
            evm: context.build_mainnet(),
            deployed: BTreeMap::new(),
        };
        chain.set_code(DEPLOYER, &DEPLOYER_CODE);
        let deployments = contracts_file("deployments.json");
        for contract in deployments["contracts"].as_array().unwrap() {
            let name = contract["name"].as_str().unwrap();
            let mut data = hex_field(&deployments["salt"]);
            data.extend(hex_field(
                &artifact(contract["artifact"].as_str().unwrap())["bytecode"],
            ));
            data.extend(hex_field(&contract["constructorArguments"]));
            let Answer::Returned(output, _) = chain.send(NOBODY, DEPLOYER, data) else {
                panic!("{name} cannot be deployed");
            };
            let address = Address::from_slice(&output);
            let expected: Address = contract["address"].as_str().unwrap().parse().unwrap();
            assert_eq!(
                address, expected,
                "{name}: artifacts and deployments.json differ"
            );
            chain.deployed.insert(name.into(), address);
        }
        crate::mocks::install(&mut chain);
        chain
    }

    /// Where a contract is.
    pub(crate) fn at(&self, name: &str) -> Address {
        self.deployed[name]
    }

    /// Asks; whatever changes is forgotten.
    pub(crate) fn ask(&mut self, caller: Address, to: Address, data: Vec<u8>) -> Answer {
        let answer = self.ask_on(caller, to, data);
        self.forget();
        answer
    }

    /// Asks; what changes stays until [`Chain::forget`].
    pub(crate) fn ask_on(&mut self, caller: Address, to: Address, data: Vec<u8>) -> Answer {
        let result = self
            .evm
            .system_call_one_with_caller(caller, to, data.into());
        match result.unwrap() {
            ExecutionResult::Success { output, logs, .. } => {
                Answer::Returned(output.into_data(), logs)
            }
            ExecutionResult::Revert { output, .. } => Answer::Reverted(output),
            ExecutionResult::Halt { reason, .. } => Answer::Halted(format!("{reason:?}")),
        }
    }

    /// Forgets what has changed since it was last written down.
    pub(crate) fn forget(&mut self) {
        let _ = self.evm.finalize();
    }

    /// Calls; what changes is written down.
    fn send(&mut self, caller: Address, to: Address, data: Vec<u8>) -> Answer {
        let answer = self.ask_on(caller, to, data);
        let state = self.evm.finalize();
        self.evm.ctx.db_mut().commit(state);
        answer
    }

    /// Sets the time of the block.
    pub(crate) fn set_time(&mut self, unix_seconds: u64) {
        self.evm.ctx.block.timestamp = U256::from(unix_seconds);
    }

    pub(crate) fn set_code(&mut self, address: Address, code: &[u8]) {
        let code = Bytecode::new_raw(Bytes::copy_from_slice(code));
        let info = AccountInfo::default().with_code(code);
        self.evm.ctx.db_mut().insert_account_info(address, info);
    }

    pub(crate) fn set_storage(&mut self, address: Address, slot: B256, value: B256) {
        let slot = StorageKey::from_be_bytes(slot.0);
        let value = U256::from_be_bytes(value.0);
        let Ok(()) = self
            .evm
            .ctx
            .db_mut()
            .insert_account_storage(address, slot, value);
    }

    /// Puts a wallet at an address, with a contract to delegate to.
    pub(crate) fn set_wallet(&mut self, address: Address, implementation: Address) {
        self.set_code(address, &PROXY_CODE);
        self.set_storage(address, address.into_word(), implementation.into_word());
    }

    /// Takes a wallet away.
    pub(crate) fn remove(&mut self, address: Address) {
        self.evm.ctx.db_mut().cache.accounts.remove(&address);
    }
}

/// Where nobody is: sends what needs no sender.
const NOBODY: Address = crate::mocks::NOBODY;

/// The first four bytes of the hash of a function's or error's name.
pub(crate) fn selector(name: &str) -> [u8; 4] {
    let hash = keccak256(name);
    [hash[0], hash[1], hash[2], hash[3]]
}

/// Encodes two dynamic arguments, of which the first is encoded already.
pub(crate) fn arguments(first: &[u8], second: &[u8]) -> Vec<u8> {
    let mut out = U256::from(64).to_be_bytes::<32>().to_vec();
    out.extend_from_slice(&U256::from(64 + first.len()).to_be_bytes::<32>());
    out.extend_from_slice(first);
    out.extend_from_slice(&U256::from(second.len()).to_be_bytes::<32>());
    out.extend_from_slice(second);
    out.resize(
        out.len() + second.len().next_multiple_of(32) - second.len(),
        0,
    );
    out
}
