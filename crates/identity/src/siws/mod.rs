//! Sign-In With Solana: the message that wallets compose for `solana:signIn`.
//!
//! The standard leaves nearly every field to the app. Here domain, URI, version, nonce and time
//! of issue must be there: without them the message would be good for another page or a second
//! time.

#[cfg(test)]
mod tests;

use core::fmt;

use keyfold_crypto::{Encoder, ed25519};

use crate::challenge::{Bound, Challenge, ChallengeMethod, bound_proof};
pub use crate::message::MessageError;
use crate::message::{Optional, check, parse};
use crate::origin::Origin;

const FORM: Optional = Optional {
    wants: " wants you to sign in with your Solana account:",
    scheme: false,
    chain_id: true,
    empty_statement_line: false,
};

/// Most characters of an address: 32 bytes in base58.
const MAX_ADDRESS_LEN: usize = 44;

/// A cluster that a message may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SolanaCluster {
    /// `mainnet`, `solana:mainnet`.
    Mainnet,
    /// `testnet`, `solana:testnet`.
    Testnet,
    /// `devnet`, `solana:devnet`.
    Devnet,
    /// `localnet`.
    Localnet,
}

impl SolanaCluster {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "mainnet" | "solana:mainnet" => Some(Self::Mainnet),
            "testnet" | "solana:testnet" => Some(Self::Testnet),
            "devnet" | "solana:devnet" => Some(Self::Devnet),
            "localnet" => Some(Self::Localnet),
            _ => None,
        }
    }
}

/// What a project accepts, from its sealed settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SolanaPolicy {
    /// Pages of the project. Domain and URI of the message must both be of one of them.
    pub origins: Vec<Origin>,
    /// The cluster that the message must name; with `None`, it may name any or none. A key is one
    /// account on all of them.
    pub cluster: Option<SolanaCluster>,
}

/// A Solana address: an Ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SolanaAddress(ed25519::VerifyingKey);

impl SolanaAddress {
    /// Reads an address in base58; `None` if it is not the key of anybody.
    fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_ADDRESS_LEN {
            return None;
        }
        let mut bytes = [0; 32];
        let len = bs58::decode(text).onto(&mut bytes).ok()?;
        // An address that a program owns is no point on the curve, and cannot sign.
        let key = ed25519::VerifyingKey::from_bytes(&bytes).ok()?;
        (len == 32).then_some(Self(key))
    }

    /// Returns the key's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Returns the bytes that an account is looked up by.
    #[must_use]
    pub fn lookup_bytes(&self) -> Vec<u8> {
        Encoder::new("keyfold/identity/solana/v1")
            .fixed(&self.to_bytes())
            .finish()
    }
}

impl fmt::Display for SolanaAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bs58::encode(self.to_bytes()).into_string())
    }
}

impl fmt::Debug for SolanaAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SolanaAddress({self})")
    }
}

/// A Solana account that has signed in, just now: only [`verify`] makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct ProvenSolana {
    bound: Bound,
    address: SolanaAddress,
}

bound_proof!(ProvenSolana);

impl ProvenSolana {
    /// Returns the account's address.
    #[must_use]
    pub fn address(&self) -> &SolanaAddress {
        &self.address
    }
}

/// Checks a signed message against the challenge of a sign-in.
///
/// # Errors
///
/// [`MessageError`]. The challenge is used up either way.
pub fn verify(
    policy: &SolanaPolicy,
    challenge: Challenge,
    message: &str,
    signature: &[u8],
    now_unix_seconds: u64,
) -> Result<ProvenSolana, MessageError> {
    let fields = parse(message, FORM)?;
    let address = SolanaAddress::parse(fields.address).ok_or(MessageError::WrongAddress)?;
    check(
        &fields,
        ChallengeMethod::Solana,
        &policy.origins,
        &challenge,
        now_unix_seconds,
    )?;
    let named = match fields.chain_id {
        Some(text) => Some(SolanaCluster::parse(text).ok_or(MessageError::WrongChain)?),
        None => None,
    };
    if policy.cluster.is_some() && named != policy.cluster {
        return Err(MessageError::WrongChain);
    }
    check_signature(&address, message, signature)?;
    Ok(ProvenSolana {
        bound: challenge.bound(now_unix_seconds),
        address,
    })
}

fn check_signature(
    address: &SolanaAddress,
    message: &str,
    signature: &[u8],
) -> Result<(), MessageError> {
    let signature = signature
        .try_into()
        .map_err(|_| MessageError::WrongSignature)?;
    address
        .0
        .verify(message.as_bytes(), signature)
        .map_err(|_| MessageError::WrongSignature)
}
