//! What an account's owner sees and changes of it: identities, second factors, step-up.

use serde::{Deserialize, Serialize};

use crate::ids::Digest32;
use crate::secret_text::SecretText;

/// A session that was stepped up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SteppedUp {
    /// Unix seconds until which it counts, under the project's rules.
    pub until: u64,
}

/// A way to sign in to the account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityInfo {
    /// Names it within the account.
    pub id: Digest32,
    /// Such as `email`, `passkey`, or `provider:google`.
    pub method: String,
    /// What the person knows it by: an address, a name.
    pub label: String,
    /// Unix seconds.
    pub added: u64,
}

/// The account's identities.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identities {
    /// Oldest first.
    pub identities: Vec<IdentityInfo>,
    /// Whether an app's codes are enrolled as a second factor.
    pub totp: bool,
    /// How many codes on paper are left.
    pub recovery_codes: u8,
}

/// Takes an identity off the account. The last one stays.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnlinkIdentity {
    /// From [`IdentityInfo`].
    pub id: Digest32,
}

/// The secret of a new second factor; it counts once a code of it was shown.
#[derive(Clone, Serialize, Deserialize)]
pub struct TotpBegun {
    /// `otpauth://` address, to be shown as a picture.
    pub uri: SecretText,
}

/// Shows the first code of a new second factor.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmTotp {
    /// Six digits.
    pub code: SecretText,
}

/// Codes to write down. They are shown once.
#[derive(Clone, Serialize, Deserialize)]
pub struct RecoveryCodes {
    /// Each works once.
    pub codes: Vec<SecretText>,
}

impl core::fmt::Debug for IdentityInfo {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("IdentityInfo")
            .field("id", &self.id)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

macro_rules! redacted {
    ($($body:ident),*) => {
        $(impl core::fmt::Debug for $body {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!(stringify!($body), "([redacted])"))
            }
        })*
    };
}

redacted!(Identities, TotpBegun, ConfirmTotp, RecoveryCodes);
