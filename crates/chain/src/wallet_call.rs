//! A wallet's signed call as one transaction that anybody may send.

use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, B256, Bytes, U256};
use keyfold_wallet::payload::{PackError, UnpackError, pack, unpack};
use keyfold_wallet::{
    BehaviorOnError, Call, Context, Encoding, Payload, PayloadBody, abi, wallet_address,
};

/// Why a wallet's call cannot be brought to a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WalletCallError {
    /// Another address belongs to the image hash.
    #[error("the wallet is not the one that belongs to the image hash; it would be {0}")]
    OtherWallet(Address),
    /// The payload is not packed calls.
    #[error(transparent)]
    Payload(#[from] UnpackError),
}

/// A wallet's call whose parts belong together. Whether the signature is good, the chain decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletCall {
    context: Context,
    wallet: Address,
    image_hash: B256,
    payload: Bytes,
    signature: Bytes,
    space: U160,
    nonce: u64,
    tolerant: bool,
}

/// What to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayedCall {
    /// Who is called.
    pub to: Address,
    /// Calldata.
    pub data: Bytes,
    /// Whether it deploys the wallet first.
    pub deploys: bool,
}

impl WalletCall {
    /// Reads a wallet's call.
    ///
    /// # Errors
    ///
    /// [`WalletCallError`].
    ///
    /// # Security
    ///
    /// For untrusted values of bounded size. The wallet's address must be the one of the image
    /// hash, so that the batch cannot deploy one wallet and call another contract.
    pub fn parse(
        context: &Context,
        wallet: Address,
        image_hash: B256,
        payload: Bytes,
        signature: Bytes,
    ) -> Result<Self, WalletCallError> {
        let expected = wallet_address(&image_hash, context);
        if expected != wallet {
            return Err(WalletCallError::OtherWallet(expected));
        }
        let PayloadBody::Calls {
            space,
            nonce,
            calls,
        } = unpack(&payload, &wallet)?.body
        else {
            // Nothing but calls has a packed form.
            return Err(UnpackError::UnknownFlag.into());
        };
        let tolerant = calls.iter().any(|call| tolerates_failure(call, wallet));
        Ok(Self {
            context: context.clone(),
            wallet,
            image_hash,
            payload,
            signature,
            space,
            nonce,
            tolerant,
        })
    }

    /// The wallet.
    #[must_use]
    pub const fn wallet(&self) -> Address {
        self.wallet
    }

    /// The wallet's nonce space and nonce: of all calls with the same, one succeeds.
    #[must_use]
    pub const fn space_and_nonce(&self) -> (U160, u64) {
        (self.space, self.nonce)
    }

    /// Whether the transaction can succeed although a call in it failed.
    ///
    /// Then the least gas with which it succeeds is too little: an estimate finds the amount with
    /// which the call runs out of gas and its failure is forgiven.
    #[must_use]
    pub const fn tolerates_failure(&self) -> bool {
        self.tolerant
    }

    /// Composes the call: to the wallet if it has code, through the guest if it must be deployed
    /// first.
    ///
    /// # Errors
    ///
    /// [`PackError`] for more than 16 MiB.
    pub fn relayed(&self, has_code: bool) -> Result<RelayedCall, PackError> {
        let execute = abi::execute(&self.payload, &self.signature);
        if has_code {
            return Ok(RelayedCall {
                to: self.wallet,
                data: execute,
                deploys: false,
            });
        }
        // Both must succeed. Were a failed deployment forgiven, calling an address without code
        // would succeed, and a wallet that was deployed in between is no harm: the transaction
        // reverts, and the next attempt calls it directly.
        let deploy = abi::deploy(&self.context.stage1, &self.image_hash);
        let batch = Payload::calls(
            U160::ZERO,
            0,
            vec![
                Call::new(self.context.factory, U256::ZERO, deploy),
                Call::new(self.wallet, U256::ZERO, execute),
            ],
        );
        let data = pack(&batch, None, Encoding::Shortest)?;
        Ok(RelayedCall {
            to: self.context.guest,
            data: data.into(),
            deploys: true,
        })
    }
}

fn tolerates_failure(call: &Call, wallet: Address) -> bool {
    let nested = call.to == wallet && call.data.starts_with(&abi::SELF_EXECUTE);
    call.behavior_on_error != BehaviorOnError::Revert || nested
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        Context::sequence_rc5()
    }

    fn call(behavior_on_error: BehaviorOnError) -> Call {
        let to = Address::repeat_byte(0x22);
        Call {
            behavior_on_error,
            ..Call::new(to, U256::from(5), Bytes::new())
        }
    }

    fn parse(calls: Vec<Call>) -> Result<WalletCall, WalletCallError> {
        let image_hash = B256::repeat_byte(7);
        let wallet = wallet_address(&image_hash, &context());
        let payload = pack(
            &Payload::calls(U160::from(3), 9, calls),
            None,
            Encoding::Shortest,
        );
        let signature = Bytes::from_static(&[1, 2, 3]);
        WalletCall::parse(
            &context(),
            wallet,
            image_hash,
            payload.unwrap().into(),
            signature,
        )
    }

    #[test]
    fn a_deployed_wallet_is_called_directly() {
        let parsed = parse(vec![call(BehaviorOnError::Revert)]).unwrap();
        let relayed = parsed.relayed(true).unwrap();
        assert_eq!((relayed.to, relayed.deploys), (parsed.wallet(), false));
        assert_eq!(
            relayed.data,
            abi::execute(&parsed.payload, &parsed.signature)
        );
        assert_eq!(parsed.space_and_nonce(), (U160::from(3), 9));
    }

    #[test]
    fn a_missing_wallet_is_deployed_and_called_in_a_batch_that_fails_as_a_whole() {
        let parsed = parse(vec![call(BehaviorOnError::Revert)]).unwrap();
        let relayed = parsed.relayed(false).unwrap();
        assert_eq!((relayed.to, relayed.deploys), (context().guest, true));
        let batch = unpack(&relayed.data, &context().guest).unwrap();
        let PayloadBody::Calls { calls, .. } = batch.body else {
            panic!("no calls");
        };
        let [deploy, execute] = &calls[..] else {
            panic!("not two calls");
        };
        assert_eq!(
            (deploy.to, execute.to),
            (context().factory, parsed.wallet())
        );
        assert!(
            calls
                .iter()
                .all(|c| c.behavior_on_error == BehaviorOnError::Revert)
        );
        assert!(calls.iter().all(|c| c.value.is_zero() && !c.delegate_call));
    }

    #[test]
    fn an_image_hash_of_another_wallet_is_refused() {
        let refused = WalletCall::parse(
            &context(),
            Address::repeat_byte(9),
            B256::repeat_byte(7),
            Bytes::from_static(&[0x11]),
            Bytes::new(),
        );
        assert!(matches!(refused, Err(WalletCallError::OtherWallet(_))));
    }

    #[test]
    fn a_batch_whose_calls_may_fail_is_not_sent_with_the_least_gas() {
        assert!(
            !parse(vec![call(BehaviorOnError::Revert)])
                .unwrap()
                .tolerates_failure()
        );
        for behavior in [BehaviorOnError::Ignore, BehaviorOnError::Abort] {
            let calls = vec![call(BehaviorOnError::Revert), call(behavior)];
            assert!(parse(calls).unwrap().tolerates_failure());
        }
        let wallet = parse(vec![]).unwrap().wallet();
        let nested = Call::new(wallet, U256::ZERO, abi::self_execute(&[0x11]));
        assert!(parse(vec![nested]).unwrap().tolerates_failure());
    }
}
