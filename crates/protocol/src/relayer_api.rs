//! Messages of the relayer, which pays gas and is trusted with nothing else.

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

use crate::ids::RequestId;

/// Header that names a request, so that asking twice sends once.
pub const IDEMPOTENCY_HEADER: &str = "idempotency-key";
/// Largest body a relayer reads, bytes.
pub const MAX_BODY: usize = 192 * 1024;

/// Asks for a wallet's signed call to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Relay {
    /// The chain.
    pub chain_id: u64,
    /// The wallet.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub wallet: Address,
    /// Root of the wallet's first configuration, which its address comes from.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub image_hash: B256,
    /// Packed payload (first argument of `execute`).
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub payload: Bytes,
    /// The wallet's signature (second argument of `execute`).
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub signature: Bytes,
}

/// How far a transaction has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RelayState {
    /// Sent to the node.
    Sent,
    /// In a block, and every call succeeded or was allowed to fail.
    Mined,
    /// In a block, but it reverted.
    Reverted,
    /// Followed no longer: no node took it, so that something else used up its place among the
    /// relayer's transactions; or its place is used and no receipt is found. The wallet's nonce
    /// tells whether the call was carried out.
    Lost,
}

/// A transaction that was taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Relayed {
    /// The idempotency key it was asked with.
    pub id: RequestId,
    /// The chain.
    pub chain_id: u64,
    /// Hash of the transaction. While it is in no block, another may replace it, at a better price.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub hash: B256,
    /// How far it has come.
    pub state: RelayState,
    /// The block, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<u64>,
    /// Gas used, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gas_used: Option<u64>,
    /// Whether the wallet was deployed by this transaction.
    pub deployed: bool,
}

/// What a chain knows of a wallet, as the relayer's node tells it; not verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WalletOnChain {
    /// Whether there is code at the address.
    pub deployed: bool,
    /// Next nonce of space 0.
    pub nonce: u64,
    /// Wei.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub balance: U256,
    /// The root of the wallet's configuration, where the chain was told of a later one than that
    /// which the address comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub image_hash: Option<B256>,
}
