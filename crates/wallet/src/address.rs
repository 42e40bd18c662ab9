//! Where a wallet will be: CREATE2 over the factory, the image hash and the proxy's code.

use alloy_primitives::{Address, B256, Bytes, keccak256};

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

/// Computes the address for contracts and creation code that belong to no [`Context`].
#[must_use]
pub fn counterfactual_address(
    image_hash: &B256,
    factory: &Address,
    main_module: &Address,
    creation_code: &[u8],
) -> Address {
    let init_code = [creation_code, main_module.into_word().as_slice()].concat();
    factory.create2(image_hash, keccak256(init_code))
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
