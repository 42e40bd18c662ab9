//! Where a realm's checkpointer is: on every chain at the one address that follows from its code, the
//! key that the realm record names, and Keyfold's recovery contract. Nothing else can be there.

use std::sync::OnceLock;

use alloy_primitives::{Address, B256, address, hex, keccak256};
use keyfold_wallet::ContextName;
use serde::Deserialize;

/// What the contracts' build committed; the deployer takes its code.
const ARTIFACT: &str = include_str!("../../../contracts/artifacts/Checkpointer.json");
/// The deterministic deployer (`contracts/deployments.json`), whose salt is zero.
const DEPLOYER: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");

#[derive(Deserialize)]
struct Artifact {
    bytecode: String,
}

/// Computes the address of the checkpointer that takes a key's word. `None` if the code that was
/// built in is not readable: a defect of this build.
#[must_use]
pub fn checkpointer_address(key: &Address) -> Option<Address> {
    static CODE: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    let code = CODE.get_or_init(|| {
        let artifact: Artifact = serde_json::from_str(ARTIFACT).ok()?;
        hex::decode(artifact.bytecode).ok()
    });
    let recovery = ContextName::Keyfold.extensions()?.recovery;
    let arguments = [key.into_word(), recovery.into_word()].concat();
    let init_code = [code.as_deref()?, &arguments].concat();
    Some(DEPLOYER.create2(B256::ZERO, keccak256(init_code)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_an_address_of_its_own() {
        let of = |byte| checkpointer_address(&Address::repeat_byte(byte)).unwrap();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
