//! Sign In With Farcaster: FIP-11.
//!
//! A message of EIP-4361 for chain 10 (OP Mainnet) with the statement `Farcaster Auth` and the
//! account's number as a resource, `farcaster://fid/N`, signed by an address that the registries
//! on that chain list for the number *now*: its custody address, or an address it has approved for
//! signing in. This crate asks nobody: [`FarcasterClaim`] says what to ask.

#[cfg(test)]
mod tests;

use keyfold_crypto::Encoder;

use crate::challenge::{Bound, Challenge, ChallengeMethod, bound_proof};
pub use crate::message::MessageError;
use crate::origin::Origin;
use crate::siwe::{
    ContractAnswer, ContractQuestion, ContractSignatures, EthereumAddress, EthereumPolicy, Signer,
    accepted, check_message, decimal,
};

/// OP Mainnet, where the registries are.
const CHAIN_ID: u64 = 10;
const STATEMENT: &str = "Farcaster Auth";

/// What a project accepts, from its sealed settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FarcasterPolicy {
    /// Pages of the project. Domain and URI of the message must both be of one of them.
    pub origins: Vec<Origin>,
    /// Whether addresses that the account approved for signing in suffice, besides its custody
    /// address.
    pub auth_addresses: bool,
    /// Whether custody may be with a contract.
    pub contracts: bool,
}

/// What to ask the registries: may this address sign in as this account, at the latest block?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegistryQuestion {
    /// The account's number.
    pub fid: u64,
    /// Who has signed.
    pub address: EthereumAddress,
}

/// What the registries said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryAnswer {
    /// It is the account's custody address (`IdRegistry.custodyOf`).
    Custody,
    /// It is approved for signing in (`KeyRegistry`, a key of type 2 that was not removed).
    AuthAddress,
    /// Neither, or not any more.
    No,
    /// Nobody could be asked, or those who were asked do not agree.
    Unavailable,
}

/// Asks the registries: implemented by whoever reaches the chain.
pub trait FarcasterRegistry {
    /// Answers a question.
    fn look_up(&self, question: &RegistryQuestion) -> RegistryAnswer;
}

/// A Farcaster account that has signed in, just now: only a claim that the registries confirm
/// makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct ProvenFarcaster {
    bound: Bound,
    fid: u64,
    by_custody: bool,
}

bound_proof!(ProvenFarcaster);

impl ProvenFarcaster {
    /// Returns the account's number.
    #[must_use]
    pub fn fid(&self) -> u64 {
        self.fid
    }

    /// Returns whether its custody address has signed, and not one it approved for signing in.
    #[must_use]
    pub fn by_custody(&self) -> bool {
        self.by_custody
    }

    /// Returns the bytes that an account is looked up by: its number, whoever signs for it.
    #[must_use]
    pub fn lookup_bytes(&self) -> Vec<u8> {
        Encoder::new("keyfold/identity/farcaster/v1")
            .u64(self.fid)
            .finish()
    }
}

/// A good message whose signer is not yet known to be the account's.
#[derive(Debug)]
pub struct FarcasterClaim {
    bound: Bound,
    registry: RegistryQuestion,
    contract: Option<ContractQuestion>,
    auth_addresses: bool,
}

impl FarcasterClaim {
    /// Returns what to ask the registries.
    #[must_use]
    pub fn registry_question(&self) -> &RegistryQuestion {
        &self.registry
    }

    /// Returns what to ask the signing contract, if no key has signed.
    #[must_use]
    pub fn contract_question(&self) -> Option<&ContractQuestion> {
        self.contract.as_ref()
    }

    /// Ends the sign-in with the answers to exactly these questions.
    ///
    /// # Errors
    ///
    /// [`MessageError::NotRegistered`], [`MessageError::ContractRefused`], and
    /// [`MessageError::Unavailable`], also if an answer is missing.
    pub fn answered(
        self,
        registry: RegistryAnswer,
        contract: Option<ContractAnswer>,
    ) -> Result<ProvenFarcaster, MessageError> {
        let by_custody = match registry {
            RegistryAnswer::Custody => true,
            RegistryAnswer::AuthAddress if self.auth_addresses => false,
            RegistryAnswer::AuthAddress | RegistryAnswer::No => {
                return Err(MessageError::NotRegistered);
            }
            RegistryAnswer::Unavailable => return Err(MessageError::Unavailable),
        };
        if self.contract.is_some() {
            accepted(contract.unwrap_or(ContractAnswer::Unavailable))?;
        }
        Ok(ProvenFarcaster {
            bound: self.bound,
            fid: self.registry.fid,
            by_custody,
        })
    }

    /// Ends the sign-in, asking what needs to be asked.
    ///
    /// # Errors
    ///
    /// As [`FarcasterClaim::answered`].
    pub fn settle(
        self,
        registry: &impl FarcasterRegistry,
        chain: &impl ContractSignatures,
    ) -> Result<ProvenFarcaster, MessageError> {
        let listed = registry.look_up(&self.registry);
        let contract = self.contract.as_ref().map(|question| chain.check(question));
        self.answered(listed, contract)
    }
}

/// Checks a signed message against the challenge of a sign-in.
///
/// # Errors
///
/// [`MessageError`]. The challenge is used up either way.
pub fn verify(
    policy: &FarcasterPolicy,
    challenge: Challenge,
    message: &str,
    signature: &[u8],
    now_unix_seconds: u64,
) -> Result<FarcasterClaim, MessageError> {
    let ethereum = EthereumPolicy {
        origins: policy.origins.clone(),
        chains: vec![CHAIN_ID],
        contracts: policy.contracts,
    };
    let checked = check_message(
        &ethereum,
        ChallengeMethod::Farcaster,
        &challenge,
        message,
        now_unix_seconds,
    )?;
    if checked.fields.statement != Some(STATEMENT) {
        return Err(MessageError::WrongStatement);
    }
    let registry = RegistryQuestion {
        fid: fid_of(&checked.fields.resources)?,
        address: checked.address,
    };
    let contract = match checked.signed_by(&ethereum, message, signature)? {
        Signer::Key => None,
        Signer::Ask(question) => Some(question),
    };
    Ok(FarcasterClaim {
        bound: challenge.bound(now_unix_seconds),
        registry,
        contract,
        auth_addresses: policy.auth_addresses,
    })
}

/// Finds the account's number: exactly one resource must be of the scheme `farcaster`.
fn fid_of(resources: &[&str]) -> Result<u64, MessageError> {
    let scheme = |uri: &&&str| {
        uri.split_once(':')
            .is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("farcaster"))
    };
    let mut named = resources.iter().filter(scheme);
    let (Some(uri), None) = (named.next(), named.next()) else {
        return Err(MessageError::WrongResource);
    };
    uri.strip_prefix("farcaster://fid/")
        .and_then(decimal)
        .filter(|fid| *fid > 0)
        .ok_or(MessageError::WrongResource)
}
