//! Transactions that this device signed, stored before anybody gets them: whatever happens after,
//! they can be asked for, and handed over again, by their ids.

use keyfold_client::client_api::WireCall;
use keyfold_client::ids::{AccountId, Digest32, RequestId};
use keyfold_client::relayer_api::{Relay, RelayState, Relayed};
use keyfold_client::{ClientError, SignedTransaction};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A transaction of this device.
///
/// # Security
///
/// Whoever reads it can hand it over in this device's place, once, as anybody can who sees it on
/// its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outgoing {
    pub(crate) id: RequestId,
    /// When it was signed, Unix seconds.
    pub(crate) at: u64,
    pub(crate) account: AccountId,
    /// Label of the wallet.
    pub(crate) label: String,
    pub(crate) nonce: u64,
    pub(crate) calls: Vec<WireCall>,
    pub(crate) digest: Digest32,
    pub(crate) relay: Relay,
    /// What the relayer last said.
    #[serde(default)]
    pub(crate) seen: Option<Seen>,
}

/// What the relayer said of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) state: RelayState,
    pub(crate) hash: alloy_primitives::B256,
    #[serde(default)]
    pub(crate) block: Option<u64>,
}

impl Seen {
    /// Reads it out of an answer, or out of what an error tells.
    pub(crate) fn of(outcome: &Result<Relayed, ClientError>) -> Option<Self> {
        let (state, hash, block) = match outcome {
            Ok(relayed) => (relayed.state, relayed.hash, relayed.block),
            Err(ClientError::Reverted { hash, block }) => (RelayState::Reverted, *hash, *block),
            Err(ClientError::Lost { hash, .. }) => (RelayState::Lost, *hash, None),
            Err(
                ClientError::NotMined { hash, .. }
                | ClientError::Unconfirmed {
                    hash: Some(hash), ..
                },
            ) => (RelayState::Sent, *hash, None),
            Err(_) => return None,
        };
        Some(Self { state, hash, block })
    }
}

impl Outgoing {
    /// Returns it in the form that is handed over.
    pub(crate) fn signed(&self) -> SignedTransaction {
        SignedTransaction {
            id: self.id,
            relay: self.relay.clone(),
            digest: self.digest,
        }
    }

    /// Tells whether nothing more can become of it.
    pub(crate) fn is_settled(&self) -> bool {
        let state = self.seen.map(|seen| seen.state);
        matches!(state, Some(RelayState::Mined | RelayState::Reverted))
    }

    /// Returns what programs are told of it.
    pub(crate) fn to_json(&self) -> Value {
        let mut object = json!({
            "id": self.id,
            "chain_id": self.relay.chain_id,
            "wallet": self.relay.wallet.to_string(),
            "nonce": self.nonce,
            "signed_at": self.at,
        });
        if let (Some(seen), Some(map)) = (self.seen, object.as_object_mut()) {
            map.insert("state".to_owned(), json!(seen.state));
            map.insert("hash".to_owned(), json!(seen.hash));
            if let Some(block) = seen.block {
                map.insert("block".to_owned(), json!(block));
            }
        }
        object
    }
}
