//! Messages that a wallet shows and signs: what Sign-In with Ethereum, Solana and Farcaster share.
//!
//! The text is read strictly, by the published grammars: printable ASCII and line feeds only, every
//! field at most once and in its order, nothing before or after. So what a person saw in one
//! field cannot be another field here, whatever the app put into the statement.

mod datetime;
mod text;

pub(crate) use datetime::parse as parse_date_time;
pub(crate) use text::{Fields, Optional, parse};

use crate::challenge::{Challenge, ChallengeError, ChallengeMethod};
use crate::origin::Origin;

/// Most bytes of a message.
pub const MAX_MESSAGE_LEN: usize = 4096;
/// Most resources that a message lists.
pub const MAX_RESOURCES: usize = 16;
/// Seconds by which a user's clock may differ from ours.
pub const CLOCK_SKEW_SECONDS: u64 = 60;

/// Says why a message was refused. Tell a client no more than "refused".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The challenge is another method's, or too old.
    #[error(transparent)]
    Challenge(#[from] ChallengeError),
    /// More than [`MAX_MESSAGE_LEN`] bytes or [`MAX_RESOURCES`] resources.
    #[error("the message is too long")]
    TooLong,
    /// Not of the form that the standard has.
    #[error("the message is not of the standard's form")]
    Malformed,
    /// The address is not one, or an Ethereum address without its checksum (ERC-55).
    #[error("the message's address is not valid")]
    WrongAddress,
    /// Domain or scheme are not of a page of the project.
    #[error("the message is for another domain")]
    WrongDomain,
    /// The URI is not of the page that the domain names.
    #[error("the message's URI is of another origin")]
    WrongUri,
    /// The chain is not one that the project accepts.
    #[error("the message is for another chain")]
    WrongChain,
    /// Another nonce: another device's, another project's, or another sign-in's.
    #[error("the message has another nonce")]
    WrongNonce,
    /// Issued before the sign-in began, or in the future.
    #[error("the message was not issued for this sign-in")]
    WrongIssuedAt,
    /// Its expiration time has passed.
    #[error("the message has expired")]
    Expired,
    /// The time before which it is not valid has not come.
    #[error("the message is not valid yet")]
    NotYet,
    /// The statement is not the one that the method wants.
    #[error("the message has another statement")]
    WrongStatement,
    /// A resource that the method wants is missing, twice there, or malformed.
    #[error("the message does not name its account")]
    WrongResource,
    /// The signature is not one of the address over the message.
    #[error("the signature does not verify")]
    WrongSignature,
    /// The contract that the address is says no, or there is none.
    #[error("the contract does not accept the signature")]
    ContractRefused,
    /// The registry does not list the address as a key of the account.
    #[error("the address may not sign for this account")]
    NotRegistered,
    /// Whoever was to be asked could not answer: neither yes nor no.
    #[error("the chain could not be asked")]
    Unavailable,
}

/// What does not differ between the methods: is the message for this project's page, this
/// sign-in, now?
pub(crate) fn check(
    fields: &Fields<'_>,
    method: ChallengeMethod,
    origins: &[Origin],
    challenge: &Challenge,
    now_unix_seconds: u64,
) -> Result<(), MessageError> {
    challenge.check(method, now_unix_seconds)?;
    let mut named = origins
        .iter()
        .filter(|origin| {
            origin.authority() == fields.domain
                && fields.scheme.is_none_or(|scheme| scheme == origin.scheme())
        })
        .peekable();
    if named.peek().is_none() {
        return Err(MessageError::WrongDomain);
    }
    if !named.any(|origin| origin.contains(fields.uri)) {
        return Err(MessageError::WrongUri);
    }
    if fields.nonce != challenge.nonce() {
        return Err(MessageError::WrongNonce);
    }
    let earliest = challenge
        .issued_at_unix_seconds()
        .saturating_sub(CLOCK_SKEW_SECONDS);
    let latest = now_unix_seconds.saturating_add(CLOCK_SKEW_SECONDS);
    if !(earliest..=latest).contains(&fields.issued_at) {
        return Err(MessageError::WrongIssuedAt);
    }
    if fields.expires.is_some_and(|at| at <= now_unix_seconds) {
        return Err(MessageError::Expired);
    }
    if fields.not_before.is_some_and(|at| at > now_unix_seconds) {
        return Err(MessageError::NotYet);
    }
    Ok(())
}
