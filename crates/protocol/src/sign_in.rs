//! The two steps of every sign-in: [`SignInStart`] says how, [`SignInFinish`] proves who.
//!
//! The same two steps link an identity to an account and step a session up: there the proof travels
//! in a session request ([`ShowProof`]).

use alloy_primitives::Bytes;
use keyfold_crypto::jwk::{PublicJwk, Thumbprint};
use keyfold_crypto::{Encoder, b64, binding};
use serde::{Deserialize, Serialize};

use crate::delivery::Delivery;
use crate::ids::{AccountId, Digest32, ProjectId, SignInHandle};
use crate::secret_text::SecretText;

/// Longest message that a wallet signs to sign in, bytes.
pub const MAX_WALLET_MESSAGE: usize = 4 * 1024;
/// Longest `clientDataJSON` and `authenticatorData`, bytes.
pub const MAX_CLIENT_DATA: usize = 4 * 1024;
/// Longest `attestationObject`, bytes.
pub const MAX_ATTESTATION_OBJECT: usize = 16 * 1024;
/// Longest id of a passkey, bytes.
pub const MAX_CREDENTIAL_ID: usize = 1023;

/// How somebody wants to prove who they are.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Method {
    /// A code that is mailed.
    EmailCode {
        /// The address.
        email: String,
    },
    /// A password.
    Password {
        /// The address that the password belongs to.
        email: String,
    },
    /// A provider that the project has a registration at (OAuth 2.0, OpenID Connect).
    Provider {
        /// The provider's name in the project's settings.
        name: String,
        /// Where it sends the person back to; one of the project's.
        redirect_uri: String,
    },
    /// A token of the app's own issuer, which is shown at the second step.
    Token {
        /// The issuer's name in the project's settings.
        issuer: String,
        /// SHA-256 of the token, domain separated: `TokenCommitment` of the identity crate.
        commitment: Digest32,
        /// What the token's nonce was computed with, where it is this device's:
        /// [`token_nonce`](keyfold_crypto::binding::token_nonce). Then no other nonce will do, and
        /// the token may vouch for the device at the holders.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "salt")]
        salt: Option<[u8; 32]>,
    },
    /// Sign-In with Ethereum (EIP-4361).
    Ethereum {},
    /// Sign-In With Solana.
    Solana {},
    /// Sign In With Farcaster (FIP-11).
    Farcaster {},
    /// A passkey that the person chooses on the device.
    Passkey {},
    /// A passkey that is made now. At sign-in it makes an account of its own.
    NewPasskey {
        /// What the passkey is shown as; 1 to 64 characters.
        name: String,
    },
    /// A code of an app (RFC 6238); steps up only.
    Totp {},
    /// A code on paper; steps up only.
    RecoveryCode {},
}

/// Begins a sign-in.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignInStart {
    /// How.
    pub how: Method,
    /// The device's key; its thumbprint must be the signature's `keyid`.
    pub device: PublicJwk,
    /// The account that this device signed in to before, for mails that strangers cannot use up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
}

/// A sign-in that waits for its proof. The answer is the same whether somebody is known or not.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SignInStarted {
    /// Names the sign-in, in this instance's memory.
    pub sign_in: SignInHandle,
    /// Unix seconds at which it is over.
    pub expires: u64,
    /// What is to be done now.
    pub next: Next,
}

/// What has to be done before the second step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "next", rename_all = "kebab-case")]
pub enum Next {
    /// Read the code: in the mailbox, in the app or on paper.
    Code {},
    /// Enter the password.
    Password {},
    /// Send the person's browser there; show the query, or the form, it comes back with.
    Redirect {
        /// The address.
        url: String,
        /// What its `nonce` was computed with, where the provider makes ID tokens:
        /// [`token_nonce`](keyfold_crypto::binding::token_nonce).
        #[serde(default, skip_serializing_if = "Option::is_none", with = "salt")]
        salt: Option<[u8; 32]>,
    },
    /// Show the token.
    Token {},
    /// Have a wallet sign a message with this nonce.
    Message {
        /// 64 hexadecimal digits.
        nonce: String,
        /// Unix seconds; the message's `Issued At` must not be before.
        issued: u64,
        /// What the nonce was computed with: [`challenge`](keyfold_crypto::binding::challenge).
        #[serde(with = "b64")]
        random: [u8; 32],
    },
    /// Ask the browser for a passkey.
    Passkey {
        /// `challenge`: 32 bytes.
        #[serde(with = "b64")]
        challenge: [u8; 32],
        /// `rpId`.
        relying_party: String,
        /// Whether `userVerification` is `required`; else `preferred`.
        user_verification: bool,
        /// Unix seconds, of which the challenge was computed too.
        issued: u64,
        /// What it was computed with.
        #[serde(with = "b64")]
        random: [u8; 32],
    },
    /// Ask the browser to make a passkey.
    NewPasskey {
        /// `challenge`: 32 bytes.
        #[serde(with = "b64")]
        challenge: [u8; 32],
        /// `rp.id`.
        relying_party: String,
        /// `user.id`: 32 bytes.
        #[serde(with = "b64")]
        user: [u8; 32],
        /// `user.name` and `user.displayName`.
        name: String,
        /// Whether `userVerification` is `required`; else `preferred`.
        user_verification: bool,
        /// Unix seconds, of which the challenge was computed too.
        issued: u64,
        /// What it was computed with.
        #[serde(with = "b64")]
        random: [u8; 32],
    },
}

impl Next {
    /// Tells whether what is to be signed is bound to this device in this project: nothing else may
    /// be asked of a passkey, a wallet or a provider, or it would vouch for somebody else's device.
    ///
    /// `asked` is how the sign-in was begun.
    #[must_use]
    pub fn is_for(&self, asked: &Method, project: &ProjectId, device: &Thumbprint) -> bool {
        let drawn = |method, issued, random| {
            binding::challenge(method, project.as_str(), device, issued, random)
        };
        match (asked, self) {
            (
                Method::Passkey {},
                Self::Passkey {
                    challenge,
                    issued,
                    random,
                    ..
                },
            ) => *challenge == drawn(PASSKEY, *issued, random),
            (
                Method::NewPasskey { .. },
                Self::NewPasskey {
                    challenge,
                    issued,
                    random,
                    ..
                },
            ) => *challenge == drawn(NEW_PASSKEY, *issued, random),
            (
                Method::Ethereum {} | Method::Solana {} | Method::Farcaster {},
                Self::Message {
                    nonce,
                    issued,
                    random,
                },
            ) => {
                let method = match asked {
                    Method::Ethereum {} => ETHEREUM,
                    Method::Solana {} => SOLANA,
                    _ => FARCASTER,
                };
                *nonce == hex::encode(drawn(method, *issued, random))
            }
            (Method::Provider { .. }, Self::Redirect { url, salt }) => match salt {
                Some(salt) => {
                    let nonce = binding::token_nonce(project.as_str(), device, salt);
                    nonces(url).is_some_and(|said| said == [&*nonce])
                }
                // No ID token will come of it, so nothing that a holder would believe.
                None => nonces(url).is_some_and(|said| said.is_empty()),
            },
            (Method::Password { .. }, Self::Password {})
            | (Method::Token { .. }, Self::Token {})
            | (
                Method::EmailCode { .. } | Method::Totp {} | Method::RecoveryCode {},
                Self::Code {},
            ) => true,
            _ => false,
        }
    }
}

/// The nonces that an address asks a provider for a token with; `None` for one that a provider might
/// read otherwise, or that may carry its parameters elsewhere (RFC 9101).
fn nonces(url: &str) -> Option<Vec<&str>> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\' | b';');
    if !url.starts_with("https://") || !url.bytes().all(plain) {
        return None;
    }
    let (_, query) = url.split_once('?').unwrap_or((url, ""));
    let mut said = Vec::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            _ if name.contains(['%', '+', '?']) => return None,
            "request" | "request_uri" => return None,
            "nonce" => said.push(value),
            _ => {}
        }
    }
    Some(said)
}

/// The methods' numbers in challenges.
const NEW_PASSKEY: u8 = 1;
const PASSKEY: u8 = 2;
const ETHEREUM: u8 = 3;
const SOLANA: u8 = 4;
const FARCASTER: u8 = 5;

/// What proves who somebody is.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Proof {
    /// The mailed code.
    EmailCode {
        /// Eight digits.
        code: SecretText,
        /// A new password for the address, in place of one there may have been.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new_password: Option<SecretText>,
    },
    /// The password.
    Password {
        /// As the person typed it.
        password: SecretText,
        /// Another one, in its place from now on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new_password: Option<SecretText>,
    },
    /// What a provider sent the person back with.
    Provider {
        /// The query of the redirect, or the posted form.
        callback: SecretText,
    },
    /// The token that was committed to.
    Token {
        /// Compact JWT.
        token: SecretText,
    },
    /// A signed message (EIP-4361).
    Ethereum {
        /// The message.
        message: String,
        /// By a key (65 bytes), or for a contract to read (ERC-1271, ERC-6492).
        signature: Bytes,
    },
    /// A signed message.
    Solana {
        /// The message.
        message: String,
        /// 64 bytes.
        signature: Bytes,
    },
    /// A signed message (FIP-11).
    Farcaster {
        /// The message.
        message: String,
        /// Of the custody address, or of one that may sign in for it.
        signature: Bytes,
    },
    /// What a passkey signed.
    Passkey(PasskeyAssertion),
    /// What the browser says of the passkey that it made.
    NewPasskey(PasskeyRegistration),
    /// A code of the app.
    Totp {
        /// Six digits.
        code: SecretText,
    },
    /// A code on paper.
    RecoveryCode {
        /// The code.
        code: SecretText,
    },
}

/// The answer to `navigator.credentials.get`, as it came (WebAuthn level 3, section 5.2.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasskeyAssertion {
    /// `rawId`.
    #[serde(with = "b64::Bounded::<MAX_CREDENTIAL_ID>")]
    pub id: Vec<u8>,
    /// `response.clientDataJSON`.
    #[serde(with = "b64::Bounded::<MAX_CLIENT_DATA>")]
    pub client_data_json: Vec<u8>,
    /// `response.authenticatorData`.
    #[serde(with = "b64::Bounded::<MAX_CLIENT_DATA>")]
    pub authenticator_data: Vec<u8>,
    /// `response.signature`.
    #[serde(with = "b64::Bounded::<512>")]
    pub signature: Vec<u8>,
    /// `response.userHandle`.
    #[serde(with = "b64::Bounded::<64>")]
    pub user_handle: Vec<u8>,
}

/// The answer to `navigator.credentials.create`, as it came (WebAuthn level 3, section 5.2.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasskeyRegistration {
    /// `rawId`.
    #[serde(with = "b64::Bounded::<MAX_CREDENTIAL_ID>")]
    pub id: Vec<u8>,
    /// `response.clientDataJSON`.
    #[serde(with = "b64::Bounded::<MAX_CLIENT_DATA>")]
    pub client_data_json: Vec<u8>,
    /// `response.attestationObject`.
    #[serde(with = "b64::Bounded::<MAX_ATTESTATION_OBJECT>")]
    pub attestation_object: Vec<u8>,
}

/// Finishes a sign-in.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignInFinish {
    /// From [`SignInStarted`].
    pub sign_in: SignInHandle,
    /// What proves it.
    pub proof: Proof,
    /// The same key that began.
    pub device: PublicJwk,
    /// What the device is called in lists; at most 64 characters.
    #[serde(default)]
    pub device_name: String,
    /// Where the attestation goes.
    #[serde(default, skip_serializing_if = "Delivery::is_default")]
    pub delivery: Delivery,
}

/// Finishes, within a session, what [`SignInStart`] began: to link the identity that is proved to
/// the session's account, or to step the session up.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowProof {
    /// From [`SignInStarted`].
    pub sign_in: SignInHandle,
    /// What proves it.
    pub proof: Proof,
}

impl Proof {
    /// Tells whether holders, who are shown it, have the device stand behind it where its intent
    /// names it. A digest of a code or password would tell them too much.
    #[must_use]
    pub fn is_named(&self) -> bool {
        matches!(
            self,
            Self::Passkey(_) | Self::NewPasskey(_) | Self::Token { .. }
        )
    }

    /// Returns the digest that a signed intent names the proof by.
    ///
    /// A holder that is shown the proof itself computes the same, and so knows that the device asked
    /// for this passkey or this token to count.
    #[must_use]
    pub fn digest(&self) -> Digest32 {
        Digest32::from_bytes(self.to_encoder().sha256())
    }

    fn to_encoder(&self) -> Encoder {
        let mut out = Encoder::new("keyfold/proof/v1");
        match self {
            Self::EmailCode { code, new_password } => out
                .str("email-code")
                .str(code)
                .opt_bytes(new_password.as_deref().map(str::as_bytes)),
            Self::Password {
                password,
                new_password,
            } => out
                .str("password")
                .str(password)
                .opt_bytes(new_password.as_deref().map(str::as_bytes)),
            Self::Provider { callback } => out.str("provider").str(callback),
            Self::Token { token } => out.str("token").str(token),
            Self::Ethereum { message, signature } => {
                out.str("ethereum").str(message).bytes(signature)
            }
            Self::Solana { message, signature } => out.str("solana").str(message).bytes(signature),
            Self::Farcaster { message, signature } => {
                out.str("farcaster").str(message).bytes(signature)
            }
            Self::Passkey(assertion) => out
                .str("passkey")
                .bytes(&assertion.id)
                .bytes(&assertion.client_data_json)
                .bytes(&assertion.authenticator_data)
                .bytes(&assertion.signature)
                .bytes(&assertion.user_handle),
            Self::NewPasskey(made) => out
                .str("new-passkey")
                .bytes(&made.id)
                .bytes(&made.client_data_json)
                .bytes(&made.attestation_object),
            Self::Totp { code } => out.str("totp").str(code),
            Self::RecoveryCode { code } => out.str("recovery-code").str(code),
        };
        out
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

redacted!(Method, SignInStart, Proof, SignInFinish, ShowProof);

/// A salt that may be absent, as base64url.
mod salt {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Text(#[serde(with = "keyfold_crypto::b64")] [u8; 32]);

    pub(super) fn serialize<S: Serializer>(
        salt: &Option<[u8; 32]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        salt.map(Text).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<[u8; 32]>, D::Error> {
        Ok(Option::<Text>::deserialize(deserializer)?.map(|Text(salt)| salt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: Thumbprint = Thumbprint([7; 32]);

    fn project() -> ProjectId {
        "app.example".parse().unwrap()
    }

    fn passkey(device: &Thumbprint, method: u8) -> Next {
        let random = [9; 32];
        Next::Passkey {
            challenge: binding::challenge(method, "app.example", device, 5, &random),
            relying_party: "app.example".to_owned(),
            user_verification: true,
            issued: 5,
            random,
        }
    }

    #[test]
    fn a_challenge_of_another_device_method_or_project_is_not_signed() {
        let asked = Method::Passkey {};
        assert!(passkey(&DEVICE, PASSKEY).is_for(&asked, &project(), &DEVICE));
        let other: ProjectId = "other.example".parse().unwrap();
        assert!(!passkey(&DEVICE, PASSKEY).is_for(&asked, &other, &DEVICE));
        let thief = Thumbprint([8; 32]);
        assert!(!passkey(&thief, PASSKEY).is_for(&asked, &project(), &DEVICE));
        assert!(!passkey(&DEVICE, NEW_PASSKEY).is_for(&asked, &project(), &DEVICE));
        // Nor an answer to another question.
        assert!(!passkey(&DEVICE, PASSKEY).is_for(&Method::Ethereum {}, &project(), &DEVICE));
    }

    #[test]
    fn a_redirect_asks_the_provider_for_a_token_of_this_device_and_no_other() {
        let asked = Method::Provider {
            name: "idp".to_owned(),
            redirect_uri: "https://app.example/back".to_owned(),
        };
        let salt = Some([3; 32]);
        let nonce = |device: &Thumbprint| binding::token_nonce("app.example", device, &[3; 32]);
        let to = |query: &str, salt| Next::Redirect {
            url: format!("https://idp.example/auth?{query}"),
            salt,
        };
        let mine = format!("a=b&nonce={}&c=d", nonce(&DEVICE));
        assert!(to(&mine, salt).is_for(&asked, &project(), &DEVICE));
        let theirs = format!("nonce={}", nonce(&Thumbprint([8; 32])));
        assert!(!to(&theirs, salt).is_for(&asked, &project(), &DEVICE));
        let both = format!("{mine}&{theirs}");
        assert!(!to(&both, salt).is_for(&asked, &project(), &DEVICE));
        assert!(!to("a=b", salt).is_for(&asked, &project(), &DEVICE));
        // What a provider reads otherwise than it looks.
        for trick in [
            format!("nonc%65=evil&{mine}"),
            format!("nonc%65=evil#&{mine}"),
            format!("{mine}#&nonce=evil"),
            format!("{mine}&request=a.b.c"),
            format!("{mine}&request_uri=https://evil.example"),
            format!("{mine};nonce=evil"),
            format!("{mine}&+nonce=evil"),
        ] {
            assert!(
                !to(&trick, salt).is_for(&asked, &project(), &DEVICE),
                "{trick}"
            );
        }
        assert!(!to("%6eonce=evil", None).is_for(&asked, &project(), &DEVICE));
        assert!(!to(&theirs, None).is_for(&asked, &project(), &DEVICE));
        assert!(to("a=b", None).is_for(&asked, &project(), &DEVICE));
    }

    #[test]
    fn a_redirect_survives_its_json() {
        for salt in [None, Some([4; 32])] {
            let next = Next::Redirect {
                url: "https://idp.example/".to_owned(),
                salt,
            };
            let text = serde_json::to_string(&next).unwrap();
            assert_eq!(serde_json::from_str::<Next>(&text).unwrap(), next, "{text}");
        }
    }
}
