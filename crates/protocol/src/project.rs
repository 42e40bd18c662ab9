//! A project's settings: what its administrators decide, sealed in the enclave.
//!
//! Plain data. The enclave turns them into the types that verify with them, and refuses what those
//! do not take.

use core::fmt;
use core::marker::PhantomData;
use core::ops::RangeInclusive;
use std::collections::BTreeMap;

use keyfold_crypto::jwk::PublicJwk;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::client_api::MailSettings;
use crate::ids::AccountId;

/// Most providers of a project.
pub const MAX_PROVIDERS: usize = 16;
/// Most redirect addresses of a provider's registration.
pub const MAX_REDIRECT_URIS: usize = 8;
/// Most issuers of a project.
pub const MAX_ISSUERS: usize = 16;
/// Most chains that a message may name, and most nodes.
pub const MAX_CHAINS: usize = 16;
/// Most pages of a project.
pub const MAX_ORIGINS: usize = 16;
/// Most apps, and most framing pages, of a project's passkeys.
pub const MAX_PASSKEY_APPS: usize = 8;
/// Most accounts whose sessions administrators ended.
pub const MAX_ENDED: usize = 64;
/// Most keys of an app's servers.
pub const MAX_SERVERS: usize = 8;
/// Longest name of a provider, issuer or key, bytes.
pub const MAX_NAME_LEN: usize = 32;
/// Longest PEM of roots, bytes.
pub const MAX_ROOTS_LEN: usize = 32 * 1024;
/// Session lifetimes, seconds.
pub const SESSION_SECONDS: RangeInclusive<u64> = 300..=30 * 86_400;
/// Attestation lifetimes, seconds.
pub const ATTESTATION_SECONDS: RangeInclusive<u64> = 60..=3_600;
/// Times for which a session may be left alone, seconds.
pub const IDLE_SECONDS: RangeInclusive<u64> = 60..=30 * 86_400;
/// ID token lifetimes, seconds.
pub const ID_TOKEN_SECONDS: RangeInclusive<u64> = 60..=600;
/// Devices that an account may be let have.
pub const DEVICES: RangeInclusive<u8> = 1..=32;
/// Sessions that an account may be let have.
pub const SESSIONS: RangeInclusive<u8> = 1..=64;
/// Wallets that an account may be let have.
pub const WALLETS: RangeInclusive<u8> = 1..=16;

/// How people sign in to a project, and what that is good for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignInSettings {
    /// Codes by mail.
    pub email_code: bool,
    /// Passwords; absent where the project has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<PasswordSettings>,
    /// Providers by the names that requests use; at most 16.
    #[serde(deserialize_with = "once", skip_serializing_if = "BTreeMap::is_empty")]
    pub providers: BTreeMap<String, ProviderSettings>,
    /// The app's own issuers of tokens, by the names that requests use; at most 16.
    #[serde(deserialize_with = "once", skip_serializing_if = "BTreeMap::is_empty")]
    pub issuers: BTreeMap<String, IssuerSettings>,
    /// Sign-In with Ethereum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ethereum: Option<EthereumSettings>,
    /// Sign-In With Solana.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solana: Option<SolanaSettings>,
    /// Sign In With Farcaster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub farcaster: Option<FarcasterSettings>,
    /// Passkeys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passkeys: Option<PasskeySettings>,
    /// The app's pages, such as `https://app.example`; at most 16.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    /// How long a session lasts, seconds: 5 minutes to 30 days.
    pub session_seconds: u64,
    /// How long an attestation lasts, seconds: 1 minute to 1 hour.
    pub attestation_seconds: u64,
    /// How long after its attestation ran out a session may be renewed, seconds: 1 minute to 30
    /// days; 2 days where absent. Whoever is away for longer signs in again.
    pub idle_seconds: u64,
    /// Sessions that the administrators ended.
    #[serde(skip_serializing_if = "EndedSessions::is_none")]
    pub ended: EndedSessions,
    /// What needs a fresh proof.
    pub step_up: StepUpRules,
    /// Keys of the app's servers, which may ask whether a session stands; at most 8.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<PublicJwk>,
    /// Where the app's server is told of what happens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookSettings>,
    /// ID tokens for the app's server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_tokens: Option<IdTokenSettings>,
    /// What the mail with a code says.
    #[serde(skip_serializing_if = "MailTexts::is_usual")]
    pub mail_texts: MailTexts,
    /// How much of anything an account may have.
    pub limits: LimitSettings,
}

/// What a project's administrators may set, all of it at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectSettings {
    /// Shown in mails; at most 64 characters.
    pub display_name: String,
    /// How codes are mailed. Its password is the project's secret `mail`, and not here.
    pub mail: MailSettings,
    /// How people sign in; by code where absent.
    #[serde(default)]
    pub sign_in: SignInSettings,
}

/// What the mail with a code says, where not the usual: plain text, in which `{project}` stands for
/// the display name. No link, no address, no number of four digits or more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MailTexts {
    /// The subject; at most 100 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The words before the code; at most 300 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intro: Option<String>,
}

impl MailTexts {
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// Sessions that the administrators of a project ended, of everybody or of single accounts. Who is
/// concerned signs in again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EndedSessions {
    /// Those that began before this Unix second.
    pub before: u64,
    /// Of these accounts those that began before this Unix second; at most 64.
    #[serde(deserialize_with = "once", skip_serializing_if = "BTreeMap::is_empty")]
    pub accounts: BTreeMap<AccountId, u64>,
}

impl EndedSessions {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Tells whether a session that began then is over.
    #[must_use]
    pub fn has(&self, account: &AccountId, began_at_unix_seconds: u64) -> bool {
        let of_account = self.accounts.get(account).copied().unwrap_or_default();
        began_at_unix_seconds < self.before.max(of_account)
    }
}

/// How much of anything an account may have. How many mails an address gets, each holder decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Devices; 1 to 32.
    pub devices: u8,
    /// Sessions; 1 to 64. The oldest makes room.
    pub sessions: u8,
    /// Wallets; 1 to 16.
    pub wallets: u8,
}

impl Default for LimitSettings {
    /// As many as there may be.
    fn default() -> Self {
        Self {
            devices: *DEVICES.end(),
            sessions: *SESSIONS.end(),
            wallets: *WALLETS.end(),
        }
    }
}

impl Default for SignInSettings {
    fn default() -> Self {
        Self {
            email_code: true,
            password: None,
            providers: BTreeMap::new(),
            issuers: BTreeMap::new(),
            ethereum: None,
            solana: None,
            farcaster: None,
            passkeys: None,
            origins: Vec::new(),
            session_seconds: 7 * 86_400,
            attestation_seconds: 3_600,
            idle_seconds: 2 * 86_400,
            ended: EndedSessions::default(),
            step_up: StepUpRules::default(),
            servers: Vec::new(),
            webhook: None,
            id_tokens: None,
            mail_texts: MailTexts::default(),
            limits: LimitSettings::default(),
        }
    }
}

/// What a password's hash costs: Argon2id's parameters (RFC 9106).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PasswordSettings {
    /// KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for PasswordSettings {
    /// OWASP's second choice, 19 MiB and two passes.
    fn default() -> Self {
        Self {
            memory_kib: 19 * 1024,
            passes: 2,
            lanes: 1,
        }
    }
}

/// A provider, and the project's registration there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// Which.
    pub kind: ProviderKind,
    /// The registration's client id.
    pub client_id: String,
    /// Where the provider may send people back to, as registered there; 1 to 8.
    pub redirect_uris: Vec<String>,
    /// How the registration proves itself. Its secret is the project's secret `provider:NAME`.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// PEM certificates that its servers' must lead to; the public roots where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roots_pem: Option<String>,
}

/// A provider of identities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ProviderKind {
    /// Google.
    Google {},
    /// Apple.
    Apple {},
    /// X (Twitter).
    X {},
    /// Discord.
    Discord {},
    /// Any OpenID provider, by discovery.
    OpenId {
        /// Its issuer, an `https` address.
        issuer: String,
    },
}

/// How a registration proves itself to the provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ClientAuth {
    /// Not at all: PKCE alone.
    #[default]
    Public,
    /// `client_secret_basic`.
    SecretBasic {},
    /// `client_secret_post`.
    SecretPost {},
    /// `private_key_jwt`; the secret is a PKCS#8 PEM of a P-256 key.
    PrivateKeyJwt {
        /// The key's name at the provider.
        kid: String,
    },
    /// Apple's signed client secret; the secret is the `.p8` file.
    Apple {
        /// The team.
        team_id: String,
        /// The key.
        key_id: String,
    },
}

/// An issuer of the app's own tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerSettings {
    /// `iss`, compared to the letter.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// Where its keys are.
    pub keys: IssuerKeys,
    /// `RS256`, `ES256`, `EdDSA`: which it signs with.
    pub algorithms: Vec<String>,
    /// Oldest accepted token, seconds since `iat`; at most an hour.
    pub max_token_age_seconds: u64,
}

/// Where an issuer's keys are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case", deny_unknown_fields)]
pub enum IssuerKeys {
    /// A JWKS document.
    Jwks {
        /// An `https` address.
        url: String,
        /// PEM certificates that its server's must lead to; the public roots where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        roots_pem: Option<String>,
    },
    /// A public key in PEM.
    Pem {
        /// The key.
        pem: String,
    },
}

/// Sign-In with Ethereum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EthereumSettings {
    /// Chains that a message may name; 1 to 16.
    pub chains: Vec<u64>,
    /// Nodes that contracts' signatures are asked of; a chain without one has none that count.
    #[serde(
        default,
        deserialize_with = "once",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub nodes: BTreeMap<u64, NodeSettings>,
}

/// A node of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSettings {
    /// JSON-RPC, an `https` address.
    pub url: String,
    /// PEM certificates that its server's must lead to; the public roots where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roots_pem: Option<String>,
}

/// Sign-In With Solana.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SolanaSettings {
    /// `mainnet`, `testnet` or `devnet`: which a message must name; any where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
}

/// Sign In With Farcaster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FarcasterSettings {
    /// A node of OP Mainnet, where the registries are.
    pub node: NodeSettings,
    /// Whether addresses that the account approved for signing in suffice.
    #[serde(default)]
    pub auth_addresses: bool,
}

/// Passkeys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasskeySettings {
    /// The relying party's id: a domain, of which all origins are.
    pub relying_party: String,
    /// Whether PIN or biometrics are demanded.
    pub user_verification: bool,
    /// Apps besides the project's pages: `android:apk-key-hash:…`; at most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apps: Vec<String>,
    /// Pages that may frame the project's; at most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top_origins: Vec<String>,
}

/// What is done only after a fresh proof. A project decides, and a person can ask for more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StepUpRules {
    /// To take a key out.
    #[serde(with = "rule")]
    pub export: Option<StepUp>,
    /// To change identities, second factors or a wallet's recovery.
    #[serde(with = "rule")]
    pub recovery: Option<StepUp>,
    /// To let another device in.
    #[serde(with = "rule")]
    pub new_device: Option<StepUp>,
    /// To answer a guard's question.
    #[serde(with = "rule")]
    pub guard_review: Option<StepUp>,
    /// To sign anything.
    #[serde(with = "rule")]
    pub signing: Option<StepUp>,
    /// To end other sessions, or take other devices off.
    #[serde(with = "rule")]
    pub end_sessions: Option<StepUp>,
}

impl Default for StepUpRules {
    fn default() -> Self {
        Self {
            export: Some(StepUp::Code),
            recovery: Some(StepUp::Code),
            new_device: None,
            guard_review: None,
            signing: None,
            end_sessions: None,
        }
    }
}

/// Reads a map in which nothing is named twice: of two, one reader would take the first and another
/// the last, and administrators sign the text.
fn once<'de, D, K, V>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    struct Once<K, V>(PhantomData<(K, V)>);

    impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Visitor<'de> for Once<K, V> {
        type Value = BTreeMap<K, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map that names nothing twice")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((key, value)) = access.next_entry()? {
                if map.insert(key, value).is_some() {
                    return Err(A::Error::custom("something is named twice"));
                }
            }
            Ok(map)
        }
    }

    deserializer.deserialize_map(Once(PhantomData))
}

/// A rule in words: `none` is one, so that every form of the settings (TOML has no null) can say it.
mod rule {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::StepUp;

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Rule {
        None,
        Code,
        SecondFactor,
        Passkey,
    }

    pub(super) fn serialize<S: Serializer>(
        rule: &Option<StepUp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match rule {
            None => Rule::None,
            Some(StepUp::Code) => Rule::Code,
            Some(StepUp::SecondFactor) => Rule::SecondFactor,
            Some(StepUp::Passkey) => Rule::Passkey,
        }
        .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<StepUp>, D::Error> {
        Ok(match Rule::deserialize(deserializer)? {
            Rule::None => None,
            Rule::Code => Some(StepUp::Code),
            Rule::SecondFactor => Some(StepUp::SecondFactor),
            Rule::Passkey => Some(StepUp::Passkey),
        })
    }
}

/// The weakest proof that suffices, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepUp {
    /// Any identity of the account, proved again.
    Code,
    /// A second factor: a code of an app, a code on paper, or a passkey with user verification.
    SecondFactor,
    /// A passkey with user verification.
    Passkey,
}

/// Where an app's server is told of what happens. The key is the project's secret `webhook`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// An `https` address.
    pub url: String,
    /// PEM certificates that its server's must lead to; the public roots where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roots_pem: Option<String>,
}

/// ID tokens for the app's server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdTokenSettings {
    /// `iss`: the `https` address that the realm's gateway is reached at.
    pub issuer: String,
    /// How long a token is good for, seconds: 1 minute to 10.
    pub seconds: u64,
}

impl StepUpRules {
    /// Asks for nothing.
    #[must_use]
    pub fn none() -> Self {
        Self {
            export: None,
            recovery: None,
            new_device: None,
            guard_review: None,
            signing: None,
            end_sessions: None,
        }
    }

    /// Returns the strongest proof that any of them asks for.
    #[must_use]
    pub fn strongest(&self) -> Option<StepUp> {
        self.export
            .max(self.recovery)
            .max(self.new_device)
            .max(self.guard_review)
            .max(self.signing)
            .max(self.end_sessions)
    }

    /// Joins two sets of rules: of each the stronger.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            export: self.export.max(other.export),
            recovery: self.recovery.max(other.recovery),
            new_device: self.new_device.max(other.new_device),
            guard_review: self.guard_review.max(other.guard_review),
            signing: self.signing.max(other.signing),
            end_sessions: self.end_sessions.max(other.end_sessions),
        }
    }
}
