//! Keyfold's contracts: where they belong on every chain, and how to put them there.
//!
//! They are deployed by the deterministic deployer (`0x4e59b448…`), which exists at one address on
//! every chain and gives a contract an address that follows from its init code alone. So anybody
//! may deploy them, and nobody can put anything else in their place.

use alloy_primitives::{Address, B256, Bytes, hex, keccak256};
use keyfold_wallet::{Context, ContextName};
use serde::Deserialize;

use crate::node::Node;
use crate::rpc::{Rpc, RpcError};

const DEPLOYMENTS: &str = include_str!("../../../contracts/deployments.json");
const ARTIFACTS: [(&str, &str); 8] = [
    (
        "Factory",
        include_str!("../../../contracts/artifacts/Factory.json"),
    ),
    (
        "Stage1",
        include_str!("../../../contracts/artifacts/Stage1.json"),
    ),
    (
        "Stage2",
        include_str!("../../../contracts/artifacts/Stage2.json"),
    ),
    (
        "Guest",
        include_str!("../../../contracts/artifacts/Guest.json"),
    ),
    (
        "FactoryWrapper",
        include_str!("../../../contracts/artifacts/FactoryWrapper.json"),
    ),
    (
        "Passkeys",
        include_str!("../../../contracts/artifacts/Passkeys.json"),
    ),
    (
        "Recovery",
        include_str!("../../../contracts/artifacts/Recovery.json"),
    ),
    (
        "Sessions",
        include_str!("../../../contracts/artifacts/Sessions.json"),
    ),
];

/// One for each realm: its address comes from the realm's key.
const CHECKPOINTER: &str = include_str!("../../../contracts/artifacts/Checkpointer.json");

/// The compiled-in contracts contradict each other: a defect of this build.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the compiled-in contracts are unusable: {0}")]
pub struct ArtifactError(String);

/// Why contracts cannot be deployed.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The node.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The chain lacks the deployer.
    #[error("there is no deterministic deployer at {0} on this chain; deploy it first")]
    NoDeployer(Address),
}

/// A call of the deployer that puts one contract where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployerCall {
    /// The contract's name.
    pub name: String,
    /// Where it will be.
    pub address: Address,
    /// The deployer.
    pub to: Address,
    /// Calldata for the deployer: salt, init code.
    pub data: Bytes,
}

/// All contracts, in the order in which they can be deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployments {
    deployer: Address,
    salt: B256,
    checkpointer: Vec<u8>,
    recovery: Address,
    calls: Vec<DeployerCall>,
    context: Context,
}

#[derive(Deserialize)]
struct DeploymentsFile {
    deployer: Address,
    salt: B256,
    contracts: Vec<ContractEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContractEntry {
    name: String,
    artifact: String,
    address: Address,
    constructor_arguments: Bytes,
    init_code_hash: B256,
}

#[derive(Deserialize)]
struct Artifact {
    bytecode: String,
}

impl Deployments {
    /// Reads the contracts that are compiled into this crate.
    ///
    /// Each address is computed again from the code.
    ///
    /// # Errors
    ///
    /// [`ArtifactError`] if code, hash and address do not belong together.
    pub fn embedded() -> Result<Self, ArtifactError> {
        let file: DeploymentsFile = serde_json::from_str(DEPLOYMENTS)
            .map_err(|error| ArtifactError(format!("deployments.json: {error}")))?;
        let mut calls = Vec::new();
        for entry in file.contracts {
            let init_code = [
                creation_code(&entry.artifact)?,
                entry.constructor_arguments.to_vec(),
            ]
            .concat();
            let hash = keccak256(&init_code);
            if hash != entry.init_code_hash
                || file.deployer.create2(file.salt, hash) != entry.address
            {
                return Err(ArtifactError(format!(
                    "{} is not at its address",
                    entry.name
                )));
            }
            calls.push(DeployerCall {
                name: entry.name,
                address: entry.address,
                to: file.deployer,
                data: [file.salt.as_slice(), &init_code].concat().into(),
            });
        }
        let at = |name: &str| {
            let call = calls.iter().find(|call| call.name == name);
            call.map(|call| call.address)
                .ok_or_else(|| ArtifactError(format!("{name} has no address")))
        };
        let context = Context {
            factory: at("Factory")?,
            stage1: at("Stage1")?,
            stage2: at("Stage2")?,
            guest: at("Guest")?,
            ..Context::keyfold()
        };
        Ok(Self {
            deployer: file.deployer,
            salt: file.salt,
            checkpointer: code_of("Checkpointer", CHECKPOINTER)?,
            recovery: at("Recovery")?,
            calls,
            context,
        })
    }

    /// Returns the call that deploys the checkpointer of a realm, by the address of the key that
    /// the realm record names: the contract has the same address on every chain, and nobody can
    /// put one there that takes another key's word. Keyfold's recovery contract must be there first.
    #[must_use]
    pub fn checkpointer(&self, key: &Address) -> DeployerCall {
        let arguments = [key.into_word(), self.recovery.into_word()].concat();
        let init_code = [self.checkpointer.as_slice(), &arguments].concat();
        DeployerCall {
            name: "Checkpointer".to_owned(),
            address: self.deployer.create2(self.salt, keccak256(&init_code)),
            to: self.deployer,
            data: [self.salt.as_slice(), &init_code].concat().into(),
        }
    }

    /// Returns the contracts' addresses as wallets are made with them.
    #[must_use]
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// Returns the calls that deploy everything on an empty chain, in order.
    #[must_use]
    pub fn calls(&self) -> &[DeployerCall] {
        &self.calls
    }

    /// Asks a chain which of these it lacks; returns the calls that deploy those, in order. Each
    /// may need the ones before it to be in a block.
    ///
    /// # Errors
    ///
    /// [`DeployError`].
    pub async fn missing<R: Rpc>(
        &self,
        node: &Node<R>,
        calls: &[DeployerCall],
    ) -> Result<Vec<DeployerCall>, DeployError> {
        let mut missing = Vec::new();
        for call in calls {
            if !node.has_code(call.address).await? {
                missing.push(call.clone());
            }
        }
        if !missing.is_empty() && !node.has_code(self.deployer).await? {
            return Err(DeployError::NoDeployer(self.deployer));
        }
        Ok(missing)
    }
}

/// Finds what a chain lacks of the contracts that deploying a wallet needs: a call to an address
/// without code would succeed and do nothing.
///
/// The extensions are not looked at: whatever needs one reverts without it.
///
/// # Errors
///
/// [`RpcError`].
pub async fn lacking<R: Rpc>(
    node: &Node<R>,
    contracts: ContextName,
) -> Result<Option<(&'static str, Address)>, RpcError> {
    let context = contracts.context();
    let needed = [
        ("Factory", context.factory),
        ("Stage1", context.stage1),
        ("Stage2", context.stage2),
        ("Guest", context.guest),
    ];
    for (name, address) in needed {
        if !node.has_code(address).await? {
            return Ok(Some((name, address)));
        }
    }
    Ok(None)
}

fn creation_code(name: &str) -> Result<Vec<u8>, ArtifactError> {
    let (_, json) = ARTIFACTS
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| ArtifactError(format!("{name} has no artifact")))?;
    code_of(name, json)
}

fn code_of(name: &str, json: &str) -> Result<Vec<u8>, ArtifactError> {
    let artifact: Artifact = serde_json::from_str(json)
        .map_err(|error| ArtifactError(format!("{name}.json: {error}")))?;
    hex::decode(&artifact.bytecode).map_err(|error| ArtifactError(format!("{name}.json: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contract_is_where_its_code_says() {
        let deployments = Deployments::embedded().unwrap();
        assert!(deployments.calls().len() >= ARTIFACTS.len());
        for call in deployments.calls() {
            let (salt, init_code) = call.data.split_at(32);
            let address = call
                .to
                .create2(B256::from_slice(salt), keccak256(init_code));
            assert_eq!(address, call.address, "{}", call.name);
        }
    }

    #[test]
    fn each_realms_key_has_a_checkpointer_of_its_own() {
        let deployments = Deployments::embedded().unwrap();
        let of = |byte| deployments.checkpointer(&Address::repeat_byte(byte));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1).address, of(2).address);
        let call = of(1);
        let (salt, init_code) = call.data.split_at(32);
        let address = call
            .to
            .create2(B256::from_slice(salt), keccak256(init_code));
        assert_eq!(address, call.address);
        let recovery = ContextName::Keyfold.extensions().unwrap().recovery;
        let arguments = [Address::repeat_byte(1), recovery].map(|one| one.into_word());
        assert!(init_code.ends_with(&arguments.concat()));
    }

    #[test]
    fn clients_compute_wallet_addresses_with_the_contracts_that_are_deployed() {
        let deployments = Deployments::embedded().unwrap();
        assert_eq!(*deployments.context(), Context::keyfold());
        let at = |name: &str| {
            let mut calls = deployments.calls().iter();
            calls.find(|call| call.name == name).unwrap().address
        };
        let with_erc4337 = ContextName::KeyfoldErc4337.context();
        assert_eq!(with_erc4337.stage1, at("Stage1Erc4337"));
        assert_eq!(with_erc4337.stage2, at("Stage2Erc4337"));
        assert_eq!(with_erc4337.factory, at("Factory"));
        assert_eq!(with_erc4337.guest, at("Guest"));
    }
}
