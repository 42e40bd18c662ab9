//! Signatures that were recovered here before anybody uses them.

use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, B256, Bytes, U256};
use keyfold_crypto::secp256k1::{RecoverableSignature, recover as recover_key};
use keyfold_guard::{Reading, read};
use keyfold_protocol::client_api::{SignRequest, Signed, WireCall, WirePayload, path};
use keyfold_protocol::ids::{AddressId, Digest32, RequestId};
use keyfold_protocol::intent::{Intent, KeyUse, Operation};
use keyfold_protocol::relayer_api::Relay;
use keyfold_wallet::abi::erc6492_wrap;
use keyfold_wallet::checkpointer::RootStatement;
use keyfold_wallet::signature::{DecodeError, RecoverError, Request, decode, recover};
use keyfold_wallet::{Call, EcdsaSignature, Encoding, Payload, Recover, payload};

use crate::client::{Client, json};
use crate::environment::{Credential, Environment, Transport};
use crate::error::ClientError;
use crate::session::Session;
use crate::wallet::Wallet;

/// Says why a signature was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureRefused {
    /// It is over something else than was asked.
    #[error("it is over something else than was asked")]
    OtherDigest,
    /// It is not a wallet's signature.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It proves nothing, or not enough.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// It is the signature of another configuration.
    #[error("it is another wallet's")]
    OtherWallet,
}

/// A message that a wallet signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedMessage {
    /// The wallet.
    pub wallet: Address,
    /// The chain it is good on.
    pub chain_id: u64,
    /// The digest that was signed.
    pub digest: Digest32,
    /// The wallet's signature, as the deployed wallet's `isValidSignature` takes it.
    pub signature: Bytes,
    /// The same for whoever verifies it before the wallet is deployed (ERC-6492).
    pub counterfactual: Bytes,
}

/// A transaction that a wallet signed, ready for any relayer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTransaction {
    /// Names the request: at the relayer it is the idempotency key.
    pub id: RequestId,
    /// What the relayer gets.
    pub relay: Relay,
    /// The digest that was signed.
    pub digest: Digest32,
}

/// Reads what a call does, as far as its bytes tell, for people who are asked to sign it.
pub fn read_call(call: &WireCall) -> Reading {
    read(&Call::new(call.to, call.value, call.data.clone()))
}

/// Checks that a signature is a wallet's, with enough weight, over a payload on a chain.
///
/// # Errors
///
/// [`SignatureRefused`].
pub fn verify_signature(
    wallet: &Wallet,
    chain_id: u64,
    payload: &Payload,
    signature: &[u8],
) -> Result<(), SignatureRefused> {
    let request = Request {
        payload,
        wallet: wallet.address(),
        chain_id,
    };
    let judge = Told {
        wallet: wallet.address(),
    };
    let recovered = recover(&request, &decode(signature)?, &judge)?;
    // A signature for every chain would prove more than was asked for.
    if recovered.op_hash != payload.op_hash(&wallet.address(), chain_id) {
        return Err(SignatureRefused::OtherDigest);
    }
    if recovered.image_hash != wallet.on_chain().unwrap_or(wallet.image_hash()) {
        return Err(SignatureRefused::OtherWallet);
    }
    Ok(())
}

/// Recovers keys, and reads the word about the latest root that stands in the signature. Whose word
/// it is the checkpointer says.
struct Told {
    wallet: Address,
}

impl Recover for Told {
    fn ecrecover(&self, hash: &B256, signature: &EcdsaSignature) -> Option<Address> {
        address_of(hash, signature)
    }

    fn snapshot(&self, _: &Address, proof: &[u8]) -> Option<(B256, U256)> {
        let (statement, _) = RootStatement::from_proof(self.wallet, proof).ok()?;
        Some((statement.image_hash, U256::from(statement.checkpoint)))
    }
}

pub(crate) fn address_of(hash: &B256, signature: &EcdsaSignature) -> Option<Address> {
    let signature = RecoverableSignature {
        r: signature.r().0,
        s: signature.s().0,
        y_parity: signature.y_parity(),
    };
    recover_key(&hash.0, &signature).ok().map(Address::from)
}

impl<T: Transport, C: Credential, E: Environment> Client<T, C, E> {
    /// Has a wallet sign bytes under the EIP-191 prefix, for one chain.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn sign_message(
        &self,
        session: &Session,
        wallet: &Wallet,
        chain_id: u64,
        message: &[u8],
    ) -> Result<SignedMessage, ClientError> {
        let payload = WirePayload::Message {
            message: Bytes::copy_from_slice(message),
        };
        let (_, _, signed) = self
            .sign(session, wallet, chain_id, payload, Operation::SignMessage)
            .await?;
        Ok(SignedMessage {
            wallet: wallet.address(),
            chain_id,
            digest: signed.digest,
            counterfactual: erc6492_wrap(
                &wallet.contracts().context(),
                &wallet.image_hash(),
                &signed.signature,
            ),
            signature: signed.signature,
        })
    }

    /// Has a wallet sign a batch of calls.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    ///
    /// # Security
    ///
    /// Once signed it can be sent by anybody who sees it, until the nonce is used.
    pub async fn sign_transaction(
        &self,
        session: &Session,
        wallet: &Wallet,
        chain_id: u64,
        space: U160,
        nonce: u64,
        calls: Vec<WireCall>,
    ) -> Result<SignedTransaction, ClientError> {
        let payload = WirePayload::Transaction {
            space,
            nonce,
            calls,
        };
        let (id, payload, signed) = self
            .sign(
                session,
                wallet,
                chain_id,
                payload,
                Operation::SignTransaction,
            )
            .await?;
        let packed = payload::pack(&payload, Some(&wallet.address()), Encoding::Shortest)
            .map_err(|_| ClientError::Unsendable("a transaction of this size"))?;
        Ok(SignedTransaction {
            id,
            digest: signed.digest,
            relay: Relay {
                chain_id,
                wallet: wallet.address(),
                image_hash: wallet.image_hash(),
                payload: packed.into(),
                signature: signed.signature,
            },
        })
    }

    async fn sign(
        &self,
        session: &Session,
        wallet: &Wallet,
        chain_id: u64,
        payload: WirePayload,
        operation: Operation,
    ) -> Result<(RequestId, Payload, Signed), ClientError> {
        let request = SignRequest {
            wallet: wallet.address(),
            chain_id,
            payload,
            on_chain: wallet.on_chain(),
        };
        let (payload, digest) = request.digest()?;
        self.attest_wallet(session, wallet.address()).await?;
        let id = self.request_id()?;
        let key_use = KeyUse {
            wallet: AddressId::from_bytes(wallet.address().into_array()),
            key: wallet.key(),
            digest,
        };
        let path = match operation {
            Operation::SignMessage => path::SIGN_MESSAGE,
            _ => path::SIGN_TRANSACTION,
        };
        let intent = Intent::Sign {
            operation,
            id,
            key_use,
        };
        let signed: Signed = self
            .call_in_session(session, path, intent, json(&request)?)
            .await?;
        if signed.digest != digest {
            return Err(SignatureRefused::OtherDigest.into());
        }
        verify_signature(wallet, chain_id, &payload, &signed.signature)?;
        Ok((id, payload, signed))
    }
}
