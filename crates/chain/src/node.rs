//! The calls of a node's JSON-RPC that we use, with types.

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::fees::FeeHistory;
use crate::rpc::{Rpc, RpcError};

/// The method whose answer strangers make long: what a call logs stands in its receipt.
pub const RECEIPT_METHOD: &str = "eth_getTransactionReceipt";

/// How many blocks fees are judged by.
const FEE_BLOCKS: u64 = 5;

/// A node, over any transport.
#[derive(Debug, Clone)]
pub struct Node<R>(R);

/// A call to try out.
#[derive(Debug, Clone, Copy)]
pub struct CallRequest<'a> {
    /// Who calls.
    pub from: Address,
    /// Who is called.
    pub to: Address,
    /// Calldata.
    pub data: &'a [u8],
    /// Gas at most.
    pub gas_limit: u64,
}

impl CallRequest<'_> {
    fn to_json(self) -> Value {
        json!({
            "from": self.from,
            "to": self.to,
            "input": Bytes::copy_from_slice(self.data),
            "gas": quantity(self.gas_limit),
        })
    }
}

/// What became of a transaction that is in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Whether it did not revert.
    pub succeeded: bool,
    /// The block.
    pub block: u64,
    /// Gas used.
    pub gas_used: u64,
}

/// State after which block a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The newest block.
    Latest,
    /// The newest block and what waits.
    Pending,
}

impl At {
    const fn tag(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::Pending => "pending",
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptAnswer {
    transaction_hash: B256,
    status: U256,
    block_number: U256,
    gas_used: U256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FeeHistoryAnswer {
    base_fee_per_gas: Vec<U256>,
    #[serde(default)]
    reward: Option<Vec<Vec<U256>>>,
}

impl<R: Rpc> Node<R> {
    /// Takes the transport.
    pub const fn new(rpc: R) -> Self {
        Self(rpc)
    }

    /// Asks which chain it is.
    ///
    /// # Errors
    ///
    /// [`RpcError`].
    pub async fn chain_id(&self) -> Result<u64, RpcError> {
        self.number("eth_chainId", json!([])).await
    }

    /// Asks for the number of the newest block.
    ///
    /// # Errors
    ///
    /// [`RpcError`].
    pub async fn block_number(&self) -> Result<u64, RpcError> {
        self.number("eth_blockNumber", json!([])).await
    }

    /// Asks whether there is code at an address.
    ///
    /// # Errors
    ///
    /// [`RpcError`].
    pub async fn has_code(&self, address: Address) -> Result<bool, RpcError> {
        let code: Bytes = self
            .get("eth_getCode", json!([address, At::Latest.tag()]))
            .await?;
        Ok(!code.is_empty())
    }

    /// Asks for an address's coin, wei.
    ///
    /// # Errors
    ///
    /// [`RpcError`].
    pub async fn balance(&self, address: Address) -> Result<U256, RpcError> {
        self.get("eth_getBalance", json!([address, At::Latest.tag()]))
            .await
    }

    /// Asks how many transactions an address has sent: its next nonce.
    ///
    /// # Errors
    ///
    /// [`RpcError`].
    pub async fn transaction_count(&self, address: Address, at: At) -> Result<u64, RpcError> {
        self.number("eth_getTransactionCount", json!([address, at.tag()]))
            .await
    }

    /// Tries a call out and returns what it returns.
    ///
    /// # Errors
    ///
    /// [`RpcError`]; see [`RpcError::reverted`].
    pub async fn call(&self, request: CallRequest<'_>) -> Result<Bytes, RpcError> {
        self.get("eth_call", json!([request.to_json(), At::Latest.tag()]))
            .await
    }

    /// Asks how much gas a call needs.
    ///
    /// # Errors
    ///
    /// [`RpcError`]; see [`RpcError::reverted`].
    pub async fn estimate_gas(&self, request: CallRequest<'_>) -> Result<u64, RpcError> {
        self.number(
            "eth_estimateGas",
            json!([request.to_json(), At::Latest.tag()]),
        )
        .await
    }

    /// Asks what blocks cost lately.
    ///
    /// # Errors
    ///
    /// [`RpcError`]; a chain without base fees (EIP-1559) is malformed to us.
    pub async fn fee_history(&self) -> Result<FeeHistory, RpcError> {
        let params = json!([quantity(FEE_BLOCKS), At::Latest.tag(), [50]]);
        let answer: FeeHistoryAnswer = self.get("eth_feeHistory", params).await?;
        let base = answer
            .base_fee_per_gas
            .last()
            .ok_or(RpcError::Malformed("no base fee"))?;
        let rewards = answer.reward.unwrap_or_default();
        Ok(FeeHistory {
            next_base_fee: base.saturating_to(),
            rewards: rewards
                .iter()
                .filter_map(|block| block.first())
                .take(FEE_BLOCKS as usize)
                .map(|reward| reward.saturating_to())
                .collect(),
        })
    }

    /// Hands a signed transaction over.
    ///
    /// # Errors
    ///
    /// [`RpcError`]; a node also refuses what it has already.
    pub async fn send_raw(&self, raw: &Bytes) -> Result<(), RpcError> {
        self.get::<B256>("eth_sendRawTransaction", json!([raw]))
            .await
            .map(drop)
    }

    /// Asks what became of a transaction. `None` while it is in no block.
    ///
    /// # Errors
    ///
    /// [`RpcError`].
    pub async fn receipt(&self, hash: B256) -> Result<Option<Receipt>, RpcError> {
        let answer: Option<ReceiptAnswer> = self.get(RECEIPT_METHOD, json!([hash])).await?;
        let Some(answer) = answer else {
            return Ok(None);
        };
        if answer.transaction_hash != hash {
            return Err(RpcError::Malformed("the receipt of another transaction"));
        }
        Ok(Some(Receipt {
            succeeded: match answer.status {
                U256::ONE => true,
                U256::ZERO => false,
                _ => return Err(RpcError::Malformed("a receipt without a status")),
            },
            block: number(answer.block_number)?,
            gas_used: number(answer.gas_used)?,
        }))
    }

    async fn number(&self, method: &'static str, params: Value) -> Result<u64, RpcError> {
        number(self.get(method, params).await?)
    }

    async fn get<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<T, RpcError> {
        let result = self.0.call(method, params).await?;
        serde_json::from_value(result)
            .map_err(|_| RpcError::Malformed("a result that is not of its type"))
    }
}

fn number(value: U256) -> Result<u64, RpcError> {
    value
        .try_into()
        .map_err(|_| RpcError::Malformed("a number that is too large"))
}

fn quantity(value: u64) -> String {
    format!("{value:#x}")
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// A node that gives one answer to everything.
    struct Says(Value);

    impl Rpc for Says {
        async fn call(&self, _: &'static str, _: Value) -> Result<Value, RpcError> {
            Ok(self.0.clone())
        }
    }

    fn receipt(answer: Value) -> Result<Option<Receipt>, RpcError> {
        Node::new(Says(answer))
            .receipt(B256::ZERO)
            .now_or_never()
            .unwrap()
    }

    #[test]
    fn a_receipt_counts_only_whole_and_for_the_transaction_asked_about() {
        let good = json!({
            "transactionHash": B256::ZERO, "status": "0x1", "blockNumber": "0x10", "gasUsed": "0x5208",
        });
        let read = receipt(good.clone()).unwrap().unwrap();
        assert_eq!(
            read,
            Receipt {
                succeeded: true,
                block: 16,
                gas_used: 21_000
            }
        );
        assert_eq!(receipt(Value::Null).unwrap(), None);
        for (field, value) in [
            ("transactionHash", json!(B256::repeat_byte(1))),
            ("status", json!("0x2")),
            ("status", Value::Null),
            ("blockNumber", Value::Null),
            ("gasUsed", json!(format!("0x{}", "f".repeat(17)))),
        ] {
            let mut bad = good.clone();
            bad[field] = value;
            assert!(
                matches!(receipt(bad), Err(RpcError::Malformed(_))),
                "{field}"
            );
        }
    }

    #[test]
    fn a_fee_history_without_base_fees_is_refused() {
        let ask = |answer| {
            Node::new(Says(answer))
                .fee_history()
                .now_or_never()
                .unwrap()
        };
        assert!(ask(json!({"baseFeePerGas": []})).is_err());
        assert!(ask(Value::Null).is_err());
        let history =
            ask(json!({"baseFeePerGas": ["0x1", "0x2"], "reward": [["0x7"], []]})).unwrap();
        assert_eq!(
            history,
            FeeHistory {
                next_base_fee: 2,
                rewards: vec![7]
            }
        );
    }
}
