//! Sign-In with Ethereum: EIP-4361.
//!
//! The message is read strictly, by the published grammar, and must be for a page of the project, a
//! chain it accepts, and the nonce of this sign-in, which names the device. The signature of a key
//! (EIP-191) is verified here. For a contract (ERC-1271, or ERC-6492 before it is deployed) a
//! chain must be asked, and this crate asks nobody: [`SignIn::AskContract`] says what to ask, and
//! the answer ends it.
//!
//! # Whose account
//!
//! The address of a key is one person's on every chain. That of a contract is not: whoever
//! deploys there first has it, chain by chain. So [`EthereumAccount`] keeps the chain with a
//! contract, and a contract never is the same account as a key of the same address.
//!
//! A contract may change its mind about a signature: its answer is of the moment it was asked.

#[cfg(test)]
mod tests;

use core::fmt;

use keyfold_crypto::Encoder;
use keyfold_crypto::hash::keccak256;
use keyfold_crypto::secp256k1::{RecoverableSignature, recover};

use crate::challenge::{Bound, Challenge, ChallengeMethod, bound_proof};
pub use crate::message::{CLOCK_SKEW_SECONDS, MAX_MESSAGE_LEN, MAX_RESOURCES, MessageError};
use crate::message::{Fields, Optional, check, parse};
use crate::origin::Origin;

/// Most bytes of a signature: a contract's may have a deployment around it (ERC-6492).
pub const MAX_SIGNATURE_LEN: usize = 16_384;

const FORM: Optional = Optional {
    wants: " wants you to sign in with your Ethereum account:",
    scheme: true,
    chain_id: false,
    empty_statement_line: true,
};

/// What a project accepts, from its sealed settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EthereumPolicy {
    /// Pages of the project. Domain and URI of the message must both be of one of them.
    pub origins: Vec<Origin>,
    /// Chains that the message may name.
    pub chains: Vec<u64>,
    /// Whether contracts may sign in. Then a chain is asked whenever no key has signed.
    pub contracts: bool,
}

/// An Ethereum address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EthereumAddress([u8; 20]);

impl EthereumAddress {
    /// Wraps the bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// Reads `0x` and 40 digits with their checksum: ERC-55. All lower case is no checksum.
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("0x").filter(|rest| rest.len() == 40)?;
        let mut bytes = [0; 20];
        for (target, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let [high, low] = pair else { return None };
            let digit = |b: u8| char::from(b).to_digit(16);
            *target = u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?;
        }
        let address = Self(bytes);
        (address.to_string() == text).then_some(address)
    }
}

impl fmt::Display for EthereumAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        let hash = keccak256(digits.as_bytes());
        f.write_str("0x")?;
        let nibbles = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        for (digit, nibble) in digits.chars().zip(nibbles) {
            let digit = if nibble >= 8 {
                digit.to_ascii_uppercase()
            } else {
                digit
            };
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for EthereumAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EthereumAddress({self})")
    }
}

/// Whose account a proof is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EthereumAccount {
    /// Whoever has the address's key, on any chain.
    Key(EthereumAddress),
    /// Whoever the contract at the address on this chain lets sign.
    Contract {
        /// The chain.
        chain_id: u64,
        /// The contract.
        address: EthereumAddress,
    },
}

impl EthereumAccount {
    /// Returns the bytes that an account is looked up by; not equal for any two accounts.
    #[must_use]
    pub fn lookup_bytes(&self) -> Vec<u8> {
        let mut encoder = Encoder::new("keyfold/identity/ethereum/v1");
        match self {
            Self::Key(address) => encoder.u8(1).fixed(&address.0),
            Self::Contract { chain_id, address } => encoder.u8(2).u64(*chain_id).fixed(&address.0),
        };
        encoder.finish()
    }
}

/// What to ask a chain: does this contract accept this signature over this hash?
///
/// ERC-6492 says how, for contracts that are there and those that are not yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractQuestion {
    /// The chain to ask.
    pub chain_id: u64,
    /// The contract.
    pub address: EthereumAddress,
    /// Keccak-256 of the message with EIP-191's prefix: what `isValidSignature` is given.
    pub hash: [u8; 32],
    /// The signature as it came. Untrusted, and for the contract alone to read.
    pub signature: Vec<u8>,
}

/// What the chain said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContractAnswer {
    /// The contract returned the magic value.
    Valid,
    /// It returned anything else, reverted, or there is no contract.
    Invalid,
    /// Nobody could be asked, or those who were asked do not agree.
    Unavailable,
}

/// Asks contracts: implemented by whoever reaches a chain.
pub trait ContractSignatures {
    /// Answers a question.
    fn check(&self, question: &ContractQuestion) -> ContractAnswer;
}

/// An Ethereum account that has signed in, just now: only a verified message makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct ProvenEthereum {
    bound: Bound,
    account: EthereumAccount,
}

bound_proof!(ProvenEthereum);

impl ProvenEthereum {
    /// Returns the account.
    #[must_use]
    pub fn account(&self) -> &EthereumAccount {
        &self.account
    }
}

/// How far a sign-in got.
#[derive(Debug)]
pub enum SignIn {
    /// A key has signed.
    Proven(ProvenEthereum),
    /// No key has; a contract may.
    AskContract(PendingContract),
}

impl SignIn {
    /// Ends a sign-in, asking where that is needed.
    ///
    /// # Errors
    ///
    /// [`MessageError::ContractRefused`], [`MessageError::Unavailable`].
    pub fn settle(self, chain: &impl ContractSignatures) -> Result<ProvenEthereum, MessageError> {
        match self {
            Self::Proven(proven) => Ok(proven),
            Self::AskContract(pending) => {
                let answer = chain.check(pending.question());
                pending.answered(answer)
            }
        }
    }
}

/// A sign-in whose message is good, and whose signature a contract has yet to accept.
#[derive(Debug)]
pub struct PendingContract {
    bound: Bound,
    question: ContractQuestion,
}

impl PendingContract {
    /// Returns what to ask.
    #[must_use]
    pub fn question(&self) -> &ContractQuestion {
        &self.question
    }

    /// Ends the sign-in with what the chain said to exactly this question.
    ///
    /// # Errors
    ///
    /// [`MessageError::ContractRefused`], [`MessageError::Unavailable`].
    pub fn answered(self, answer: ContractAnswer) -> Result<ProvenEthereum, MessageError> {
        accepted(answer)?;
        Ok(ProvenEthereum {
            bound: self.bound,
            account: EthereumAccount::Contract {
                chain_id: self.question.chain_id,
                address: self.question.address,
            },
        })
    }
}

pub(crate) fn accepted(answer: ContractAnswer) -> Result<(), MessageError> {
    match answer {
        ContractAnswer::Valid => Ok(()),
        ContractAnswer::Invalid => Err(MessageError::ContractRefused),
        ContractAnswer::Unavailable => Err(MessageError::Unavailable),
    }
}

/// Checks a signed message against the challenge of a sign-in.
///
/// # Errors
///
/// [`MessageError`]. The challenge is used up either way.
pub fn verify(
    policy: &EthereumPolicy,
    challenge: Challenge,
    message: &str,
    signature: &[u8],
    now_unix_seconds: u64,
) -> Result<SignIn, MessageError> {
    let checked = check_message(
        policy,
        ChallengeMethod::Ethereum,
        &challenge,
        message,
        now_unix_seconds,
    )?;
    let bound = challenge.bound(now_unix_seconds);
    Ok(match checked.signed_by(policy, message, signature)? {
        Signer::Key => SignIn::Proven(ProvenEthereum {
            bound,
            account: EthereumAccount::Key(checked.address),
        }),
        Signer::Ask(question) => SignIn::AskContract(PendingContract { bound, question }),
    })
}

/// A message that is for this project, sign-in and time, not yet known to be signed.
pub(crate) struct Checked<'a> {
    pub(crate) fields: Fields<'a>,
    pub(crate) address: EthereumAddress,
    chain_id: u64,
}

pub(crate) enum Signer {
    Key,
    Ask(ContractQuestion),
}

pub(crate) fn check_message<'a>(
    policy: &EthereumPolicy,
    method: ChallengeMethod,
    challenge: &Challenge,
    message: &'a str,
    now_unix_seconds: u64,
) -> Result<Checked<'a>, MessageError> {
    let fields = parse(message, FORM)?;
    let address = EthereumAddress::parse(fields.address).ok_or(MessageError::WrongAddress)?;
    check(
        &fields,
        method,
        &policy.origins,
        challenge,
        now_unix_seconds,
    )?;
    let chain_id = fields.chain_id.and_then(decimal);
    let chain_id = chain_id
        .filter(|id| policy.chains.contains(id))
        .ok_or(MessageError::WrongChain)?;
    Ok(Checked {
        fields,
        address,
        chain_id,
    })
}

impl Checked<'_> {
    pub(crate) fn signed_by(
        &self,
        policy: &EthereumPolicy,
        message: &str,
        signature: &[u8],
    ) -> Result<Signer, MessageError> {
        if signature.len() > MAX_SIGNATURE_LEN {
            return Err(MessageError::TooLong);
        }
        let hash = eip191_hash(message);
        if key_of(&hash, signature) == Some(self.address) {
            return Ok(Signer::Key);
        }
        if !policy.contracts {
            return Err(MessageError::WrongSignature);
        }
        Ok(Signer::Ask(ContractQuestion {
            chain_id: self.chain_id,
            address: self.address,
            hash,
            signature: signature.to_vec(),
        }))
    }
}

/// Reads a number in its one form.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    text.parse().ok().filter(|n: &u64| n.to_string() == text)
}

/// EIP-191, version `E`.
fn eip191_hash(message: &str) -> [u8; 32] {
    let prefix = format!("\x19Ethereum Signed Message:\n{}", message.len());
    keccak256(&[prefix.as_bytes(), message.as_bytes()].concat())
}

/// Finds whose key made a signature `r || s || v`, v being 27 or 28 and s in the lower half.
fn key_of(hash: &[u8; 32], signature: &[u8]) -> Option<EthereumAddress> {
    let (rs, [v]) = signature.split_first_chunk::<64>()? else {
        return None;
    };
    let y_parity = match v {
        27 => false,
        28 => true,
        _ => return None,
    };
    recover(hash, &RecoverableSignature::from_rs(rs, y_parity))
        .ok()
        .map(EthereumAddress)
}
