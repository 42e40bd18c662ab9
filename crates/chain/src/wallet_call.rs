//! A wallet's signed call as one transaction that anybody may send.

use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, B256, Bytes, U256};
use keyfold_wallet::payload::{PackError, UnpackError, pack, unpack};
use keyfold_wallet::{
    BehaviorOnError, Call, ContextName, Encoding, Payload, PayloadBody, abi, wallet_address,
};

/// Why a wallet's call cannot be brought to a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WalletCallError {
    /// No contracts that are known give the image hash this address.
    #[error(
        "the wallet is not the one that belongs to the image hash; with keyfold's own contracts it would be {expected}"
    )]
    OtherWallet {
        /// The address with Keyfold's own contracts.
        expected: Address,
    },
    /// The wallet is of contracts that are not among those accepted.
    #[error("the wallet is of the contracts {0}, which are not accepted here")]
    OtherContracts(ContextName),
    /// The payload is not packed calls.
    #[error(transparent)]
    Payload(#[from] UnpackError),
}

/// A wallet's call whose parts belong together. Whether the signature is good, the chain decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletCall {
    contracts: ContextName,
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
    /// Reads a call of a wallet of one of the `accepted` contracts. Which they are follows from the
    /// address.
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
        accepted: &[ContextName],
        wallet: Address,
        image_hash: B256,
        payload: Bytes,
        signature: Bytes,
    ) -> Result<Self, WalletCallError> {
        let contracts = contracts_of(wallet, &image_hash)?;
        if !accepted.contains(&contracts) {
            return Err(WalletCallError::OtherContracts(contracts));
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
            contracts,
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

    /// The contracts that the wallet's address comes from.
    #[must_use]
    pub const fn contracts(&self) -> ContextName {
        self.contracts
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
    /// first. Every set of contracts takes `execute`; a shorter form that only ours take is not used.
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
        let context = self.contracts.context();
        let deploy = abi::deploy(&context.stage1, &self.image_hash);
        let batch = Payload::calls(
            U160::ZERO,
            0,
            vec![
                Call::new(context.factory, U256::ZERO, deploy),
                Call::new(self.wallet, U256::ZERO, execute),
            ],
        );
        let data = pack(&batch, None, Encoding::Shortest)?;
        Ok(RelayedCall {
            to: context.guest,
            data: data.into(),
            deploys: true,
        })
    }
}

fn contracts_of(wallet: Address, image_hash: &B256) -> Result<ContextName, WalletCallError> {
    let of = |name: &ContextName| wallet_address(image_hash, &name.context());
    let found = ContextName::CHOICES
        .into_iter()
        .find(|name| of(name) == wallet);
    found.ok_or_else(|| WalletCallError::OtherWallet {
        expected: of(&ContextName::Keyfold),
    })
}

fn tolerates_failure(call: &Call, wallet: Address) -> bool {
    let nested = call.to == wallet && call.data.starts_with(&abi::SELF_EXECUTE);
    call.behavior_on_error != BehaviorOnError::Revert || nested
}

#[cfg(test)]
mod tests {
    use super::*;

    const RC5: ContextName = ContextName::SequenceRc5;

    fn call(behavior_on_error: BehaviorOnError) -> Call {
        let to = Address::repeat_byte(0x22);
        Call {
            behavior_on_error,
            ..Call::new(to, U256::from(5), Bytes::new())
        }
    }

    fn parse(calls: Vec<Call>) -> Result<WalletCall, WalletCallError> {
        parse_of(RC5, &[RC5], calls)
    }

    fn parse_of(
        contracts: ContextName,
        accepted: &[ContextName],
        calls: Vec<Call>,
    ) -> Result<WalletCall, WalletCallError> {
        let image_hash = B256::repeat_byte(7);
        let wallet = wallet_address(&image_hash, &contracts.context());
        let payload = pack(
            &Payload::calls(U160::from(3), 9, calls),
            None,
            Encoding::Shortest,
        );
        let signature = Bytes::from_static(&[1, 2, 3]);
        let payload = payload.unwrap().into();
        WalletCall::parse(accepted, wallet, image_hash, payload, signature)
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
        for contracts in ContextName::CHOICES {
            let context = contracts.context();
            let calls = vec![call(BehaviorOnError::Revert)];
            let parsed = parse_of(contracts, &ContextName::CHOICES, calls).unwrap();
            assert_eq!(parsed.contracts(), contracts);
            let relayed = parsed.relayed(false).unwrap();
            assert_eq!((relayed.to, relayed.deploys), (context.guest, true));
            let batch = unpack(&relayed.data, &context.guest).unwrap();
            let PayloadBody::Calls { calls, .. } = batch.body else {
                panic!("no calls");
            };
            let [deploy, execute] = &calls[..] else {
                panic!("not two calls");
            };
            assert_eq!((deploy.to, execute.to), (context.factory, parsed.wallet()));
            assert_eq!(
                deploy.data,
                abi::deploy(&context.stage1, &B256::repeat_byte(7))
            );
            assert!(execute.data.starts_with(&abi::EXECUTE));
            assert!(
                calls
                    .iter()
                    .all(|c| c.behavior_on_error == BehaviorOnError::Revert)
            );
            assert!(calls.iter().all(|c| c.value.is_zero() && !c.delegate_call));
        }
    }

    #[test]
    fn a_wallet_of_contracts_that_are_not_accepted_is_refused() {
        let calls = || vec![call(BehaviorOnError::Revert)];
        for contracts in ContextName::CHOICES {
            let others: Vec<_> = ContextName::CHOICES
                .into_iter()
                .filter(|other| *other != contracts)
                .collect();
            assert!(parse_of(contracts, &[contracts], calls()).is_ok());
            let refused = parse_of(contracts, &others, calls());
            assert_eq!(refused, Err(WalletCallError::OtherContracts(contracts)));
        }
        // Contracts that no new wallet has.
        let old = parse_of(ContextName::SequenceRc4, &ContextName::ALL, calls());
        assert!(matches!(old, Err(WalletCallError::OtherWallet { .. })));
    }

    #[test]
    fn an_image_hash_of_another_wallet_is_refused() {
        let refused = WalletCall::parse(
            &ContextName::CHOICES,
            Address::repeat_byte(9),
            B256::repeat_byte(7),
            Bytes::from_static(&[0x11]),
            Bytes::new(),
        );
        assert!(matches!(refused, Err(WalletCallError::OtherWallet { .. })));
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
