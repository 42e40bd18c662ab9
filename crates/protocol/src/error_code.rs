//! The stable error codes of every edge: one code, one HTTP status, one sentence.
//!
//! A code never changes its meaning. The sentence is for people and says what to do next;
//! internal detail goes to logs only. Documents carry them as RFC 9457 problems.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($variant:ident $name:literal $status:literal $sentence:literal;)*) => {
        /// A stable error code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum Code {
            $(#[doc = $sentence] #[serde(rename = $name)] $variant,)*
        }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// Returns the code as it stands in a problem document.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $name),* }
            }

            /// Returns the HTTP status that goes with the code.
            pub const fn status(self) -> u16 {
                match self { $(Code::$variant => $status),* }
            }

            /// Returns the public sentence: what happened, and what to do.
            pub const fn sentence(self) -> &'static str {
                match self { $(Code::$variant => $sentence),* }
            }
        }
    };
}

codes! {
    // The request itself
    MalformedRequest "malformed_request" 400 "The request is not well formed; check it against the API description.";
    MalformedJson "malformed_json" 400 "The body is not JSON.";
    InvalidRequest "invalid_request" 400 "The body is JSON, but not of the shape that is expected here; check it against the API description.";
    BadRequest "bad_request" 400 "The request could not be read.";
    UnsupportedMediaType "unsupported_media_type" 415 "This resource does not take bodies of that content type.";
    BodyTooLarge "body_too_large" 413 "The body is larger than this endpoint accepts.";
    NotFound "not_found" 404 "There is nothing here.";
    MethodNotAllowed "method_not_allowed" 405 "This resource does not take that method.";
    RateLimited "rate_limited" 429 "Too many requests; wait a little and try again.";
    Internal "internal" 500 "Something went wrong on our side; the request id finds it in the logs.";
    Timeout "timeout" 504 "The request took too long; ask for its outcome before repeating it.";
    NotReady "not_ready" 503 "The service has started but cannot do its work yet; wait a little.";
    Unavailable "unavailable" 503 "The service cannot answer just now; try again.";

    // The sealed channel
    UnknownKey "unknown_key" 422 "The request was sealed to a key that is gone; verify the instance again and repeat.";
    SealBroken "seal_broken" 400 "The sealed request cannot be opened.";
    UnknownInstance "unknown_instance" 404 "No enclave instance has that id; list the instances again.";

    // The device's signature
    SignatureMissing "signature_missing" 401 "The request carries no signature of a device.";
    SignatureInvalid "signature_invalid" 401 "The signature does not fit the request.";
    SignatureExpired "signature_expired" 401 "The signature is too old, or from the future; check the clock and sign again.";
    NonceReused "nonce_reused" 409 "This signed request was used before; sign a new one.";
    DigestMismatch "digest_mismatch" 400 "The body does not have the digest that was signed.";
    IntentMismatch "intent_mismatch" 400 "The signed intent does not say what the request asks for.";
    WrongRealm "wrong_realm" 403 "The request names another realm.";

    // Sign-in and session
    EmailInvalid "email_invalid" 422 "That is not an email address this service can use.";
    SignInRefused "sign_in_refused" 401 "The proof is wrong, used or expired, or belongs to another sign-in; start again.";
    MethodOff "method_off" 403 "This project does not let people sign in that way.";
    AttemptLimit "attempt_limit" 429 "Too many wrong attempts; wait, or sign in in another way.";
    PasswordUnsuitable "password_unsuitable" 422 "That password cannot be used: 8 to 128 characters, and none of the best known ones.";
    ProviderFailed "provider_failed" 502 "The identity provider gave no usable answer; try again.";
    StepUpNeeded "step_up_needed" 403 "This needs a fresh proof of who you are; step the session up and repeat.";
    IdentityTaken "identity_taken" 409 "That identity belongs to another account.";
    IdentityUnknown "identity_unknown" 404 "The account has no such identity.";
    LastIdentity "last_identity" 409 "This is the account's last identity; link another one first.";
    DeviceRevoked "device_revoked" 403 "This device was taken off the account; sign in with a new credential.";
    IdTokensOff "id_tokens_off" 403 "This project issues no ID tokens; its administrators name an issuer first.";
    ServerUnknown "server_unknown" 403 "The project does not list this key as one of its servers'.";
    NotAdministrator "not_administrator" 403 "Too few of the project's administrators have signed this.";
    ProjectStale "project_stale" 409 "The project was changed meanwhile; look at it again and repeat.";
    MailLimit "mail_limit" 429 "Too many codes were sent to this address, or mistyped on this device; wait an hour and ask again.";
    MailFailed "mail_failed" 502 "The code could not be mailed; try again.";
    SessionMissing "session_missing" 401 "The request carries no session attestation; sign in.";
    SessionInvalid "session_invalid" 401 "The session attestation is not valid for this request; sign in again.";
    SessionExpired "session_expired" 401 "The session attestation has expired; renew it or sign in again.";
    SessionRevoked "session_revoked" 401 "This session was ended; sign in again.";
    DeviceUnknown "device_unknown" 403 "The key holders do not know this device for this account; sign in with it.";
    DevicePending "device_pending" 403 "This device is not active yet; approve it from a known device, or wait.";
    DeviceLimit "device_limit" 409 "The account has as many devices as it may have, and each was let in or used.";

    // Projects
    ProjectUnknown "project_unknown" 404 "There is no such project.";
    ProjectExists "project_exists" 409 "A project of that name exists already.";
    ProjectInvalid "project_invalid" 422 "The project configuration is not acceptable.";

    // Wallets and signing
    WalletUnknown "wallet_unknown" 404 "The account has no such wallet.";
    WalletLimit "wallet_limit" 409 "The account has as many wallets as it may have.";
    PayloadInvalid "payload_invalid" 422 "What is to be signed is not acceptable.";
    ConfigInvalid "config_invalid" 422 "The change of the configuration is not acceptable.";
    ConfigStale "config_stale" 409 "The configuration was changed in the meantime; look at it again and repeat.";
    ConfigLimit "config_limit" 409 "The wallet's configuration was changed as often as it may be.";
    GuardDenied "guard_denied" 403 "The guard refused; the reasons say why.";
    GuardUnavailable "guard_unavailable" 503 "The guard does not answer; try again.";

    // Key holders
    HoldersUnavailable "holders_unavailable" 503 "Too few key holders answered; the detail names them. Try again when they are back.";
    ShareInvalid "share_invalid" 502 "A key holder returned a share that is not the one it was given.";
    RecordRolledBack "record_rolled_back" 503 "A sealed record is older than what the key holders remember; restore the newer one.";
    RecordConflict "record_conflict" 409 "The record was changed by somebody else at the same time; try again.";
    RecordPending "record_pending" 503 "The change is stored but not yet confirmed by enough key holders; try again.";

    // What a key holder answers an enclave
    NotRegistered "not_registered" 401 "The instance has no registration here; register again.";
    WarrantInvalid "warrant_invalid" 403 "The warrant does not allow this; the detail says why.";
    EvidenceInvalid "evidence_invalid" 403 "The evidence does not prove what is asked.";
    OwnershipMismatch "ownership_mismatch" 403 "That key does not belong to this account.";
    KeyUnknown "key_unknown" 404 "There is no such key.";
    KeyExists "key_exists" 409 "A key of that id exists already.";
    ReleaseLimit "release_limit" 429 "The limit on uses of this key is reached; wait.";
    AnchorConflict "anchor_conflict" 409 "The record's anchor moved in the meantime.";
    AttestationRefused "attestation_refused" 403 "The attestation document was refused.";
    NonceUnknown "nonce_unknown" 400 "That nonce was not issued, was used, or is too old.";
    RealmExists "realm_exists" 409 "This holder already belongs to a realm.";
    RealmMissing "realm_missing" 409 "There is no realm yet; run genesis first.";
    RealmInvalid "realm_invalid" 422 "The realm record is not acceptable.";

    // Relaying
    ChainUnknown "chain_unknown" 404 "This relayer does not serve that chain.";
    ContractsMissing "contracts_missing" 404 "This relayer cannot deploy the wallet: its contracts are not on that chain, or not served.";
    ChainUnavailable "chain_unavailable" 503 "The chain node does not answer; try again.";
    CallReverts "call_reverts" 422 "The call would revert on chain, so it was not sent.";
    IdempotencyConflict "idempotency_conflict" 409 "That idempotency key was used for another request.";
    TransactionUnknown "transaction_unknown" 404 "There is no such transaction.";
}

impl core::fmt::Display for Code {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::str::FromStr for Code {
    type Err = crate::ids::IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == text)
            .ok_or(crate::ids::IdError("error code"))
    }
}

/// A problem document (RFC 9457) as every edge of the system answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProblemBody {
    /// The stable code.
    pub code: Code,
    /// HTTP status.
    pub status: u16,
    /// The public sentence of the code.
    pub title: String,
    /// What is particular to this occurrence and safe to show; empty where there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Finds the occurrence in the logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl ProblemBody {
    /// Makes the document of a code, with a public detail where there is one.
    pub fn new(code: Code, detail: Option<String>) -> Self {
        Self {
            code,
            status: code.status(),
            title: code.sentence().to_owned(),
            detail,
            request_id: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_round_trip() {
        let mut names: Vec<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        for code in Code::ALL {
            assert_eq!(code.as_str().parse::<Code>(), Ok(*code));
            let json = serde_json::to_string(code).unwrap();
            assert_eq!(json, format!("\"{}\"", code.as_str()));
            assert!((400..=599).contains(&code.status()));
        }
    }
}
