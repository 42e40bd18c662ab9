//! Where a wallet will be: CREATE2 over the factory, the image hash and the proxy's code.

use alloy_primitives::{Address, B256, Bytes, address, bytes, keccak256};

/// The proxy's creation code; the main module's address follows as a word.
const CREATION_CODE: Bytes = bytes!(
    "6041600e3d396021805130553df33d3d36153402601f57363d3d373d363d30545af43d82803e903d91601f57fd5bf3"
);

/// The contracts a wallet is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The factory that deploys wallets.
    pub factory: Address,
    /// The implementation a wallet starts with.
    pub stage1: Address,
    /// The implementation a wallet changes to at its first update on chain.
    pub stage2: Address,
    /// Makes calls for anybody, in one transaction; holds nothing.
    pub guest: Address,
    /// The wallet proxy's creation code, without the main module's address.
    pub creation_code: Bytes,
}

impl Context {
    /// Keyfold's own contracts, at the addresses the deterministic deployer gives them.
    #[must_use]
    pub fn keyfold() -> Self {
        Self {
            factory: address!("b10DDE67E5097A6C932a3B7a8AC825de5A5d8ADC"),
            stage1: address!("FA15794026E44b4ddEF09f2be0C37884f4eAC24f"),
            stage2: address!("E9A819e3AD9c89F237c6061471B8CCF97DF1da67"),
            guest: address!("79cD4A6E9ABEf96967868EeC27412f4A4417C020"),
            creation_code: CREATION_CODE,
        }
    }

    /// The deployed, audited Sequence v3 contracts, release candidate 5.
    #[must_use]
    pub fn sequence_rc5() -> Self {
        Self {
            factory: address!("00000000000018A77519fcCCa060c2537c9D6d3F"),
            stage1: address!("0000000000001f3C39d61698ab21131a12134454"),
            stage2: address!("D0ae8eF93b7DA4eabb32Ec4d81b7a501DCa04D4C"),
            guest: address!("0000000000006Ac72ed1d192fa28f0058D3F8806"),
            creation_code: CREATION_CODE,
        }
    }

    /// Computes the hash of the wallets' init code.
    #[must_use]
    pub fn init_code_hash(&self) -> B256 {
        keccak256(
            [
                self.creation_code.as_ref(),
                self.stage1.into_word().as_slice(),
            ]
            .concat(),
        )
    }
}

/// Computes the address of the wallet that starts with this configuration.
#[must_use]
pub fn wallet_address(image_hash: &B256, context: &Context) -> Address {
    context
        .factory
        .create2(image_hash, context.init_code_hash())
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
