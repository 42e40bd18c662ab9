//! Messages between a client and an enclave, inside the Oblivious HTTP channel.
//!
//! Every request is a `POST` with a JSON body, signed by the device (RFC 9421) and carrying the
//! headers named in [`header`]. Every answer is JSON, or a problem document.

use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, B256, Bytes, U256};
use keyfold_crypto::jwk::{PublicJwk, Thumbprint};
use keyfold_wallet::{BehaviorOnError, Call, Config, ContextName, Payload, PayloadBody};
use serde::{Deserialize, Serialize};

use crate::delivery::HeldAttestation;
use crate::holder_api::DeviceState;
use crate::ids::{AccountId, Digest32, KeyId, ProjectId, SessionId};
use crate::project::SignInSettings;
use crate::secret_text::SecretText;

/// Header names.
pub mod header {
    /// Realm id.
    pub const REALM: &str = "keyfold-realm";
    /// Project id.
    pub const PROJECT: &str = "keyfold-project";
    /// The intent.
    pub const INTENT: &str = "keyfold-intent";
    /// SHA-256 of the session attestation.
    pub const SESSION: &str = "keyfold-session";
    /// The session attestation itself; not signed, but its hash is.
    pub const ATTESTATION: &str = "keyfold-attestation";
    /// The device's public key, a JWK as JSON text, in session requests; not signed, but its
    /// thumbprint is (`keyid`).
    pub const DEVICE: &str = "keyfold-device";
    /// RFC 9530.
    pub const CONTENT_DIGEST: &str = "content-digest";
    /// RFC 9421.
    pub const SIGNATURE_INPUT: &str = "signature-input";
    /// RFC 9421.
    pub const SIGNATURE: &str = "signature";
}

/// Paths inside the channel.
pub mod path {
    /// [`SignInStart`](crate::sign_in::SignInStart) to
    /// [`SignInStarted`](crate::sign_in::SignInStarted).
    pub const SIGN_IN_START: &str = "/v1/sign-in/start";
    /// [`SignInFinish`](crate::sign_in::SignInFinish) to [`super::SignedIn`].
    pub const SIGN_IN_FINISH: &str = "/v1/sign-in/finish";
    /// [`ShowProof`](crate::sign_in::ShowProof) to [`SteppedUp`](crate::account::SteppedUp).
    pub const STEP_UP: &str = "/v1/session/step-up";
    /// [`ShowProof`](crate::sign_in::ShowProof) to [`Identities`](crate::account::Identities).
    pub const IDENTITY_LINK: &str = "/v1/identities/link";
    /// [`UnlinkIdentity`](crate::account::UnlinkIdentity) to
    /// [`Identities`](crate::account::Identities).
    pub const IDENTITY_UNLINK: &str = "/v1/identities/unlink";
    /// [`super::Nothing`] to [`Identities`](crate::account::Identities).
    pub const IDENTITY_LIST: &str = "/v1/identities/list";
    /// [`super::Nothing`] to [`TotpBegun`](crate::account::TotpBegun).
    pub const TOTP_BEGIN: &str = "/v1/totp/begin";
    /// [`ConfirmTotp`](crate::account::ConfirmTotp) to
    /// [`RecoveryCodes`](crate::account::RecoveryCodes).
    pub const TOTP_CONFIRM: &str = "/v1/totp/confirm";
    /// [`super::Nothing`] to [`super::Nothing`].
    pub const TOTP_REMOVE: &str = "/v1/totp/remove";
    /// [`StepUpRules`](crate::project::StepUpRules) to the same.
    pub const STEP_UP_RULES: &str = "/v1/account/step-up-rules";
    /// [`Renew`](crate::delivery::Renew) to [`super::Renewed`].
    pub const RENEW: &str = "/v1/session/renew";
    /// [`super::Nothing`] to [`super::SignedOut`].
    pub const SIGN_OUT: &str = "/v1/session/sign-out";
    /// [`IssueIdToken`](crate::app_server::IssueIdToken) to
    /// [`IdToken`](crate::app_server::IdToken).
    pub const ID_TOKEN: &str = "/v1/session/id-token";
    /// [`Introspect`](crate::app_server::Introspect) to
    /// [`Introspection`](crate::app_server::Introspection); signed by a server of the project.
    pub const INTROSPECT: &str = "/v1/introspect";
    /// [`super::CreateWallet`] to [`super::WalletInfo`].
    pub const WALLET_CREATE: &str = "/v1/wallets/create";
    /// [`super::Nothing`] to [`super::Wallets`].
    pub const WALLET_LIST: &str = "/v1/wallets/list";
    /// [`super::Nothing`] to [`super::Devices`].
    pub const DEVICE_LIST: &str = "/v1/devices/list";
    /// [`super::ApproveDevice`] to [`super::Nothing`].
    pub const DEVICE_APPROVE: &str = "/v1/devices/approve";
    /// [`super::RevokeDevice`] to [`super::Revoked`].
    pub const DEVICE_REVOKE: &str = "/v1/devices/revoke";
    /// [`super::Nothing`] to [`super::Revoked`].
    pub const DEVICE_REVOKE_OTHERS: &str = "/v1/devices/revoke-others";
    /// [`super::Nothing`] to [`super::Sessions`].
    pub const SESSION_LIST: &str = "/v1/sessions/list";
    /// [`super::RevokeSession`] to [`super::Revoked`].
    pub const SESSION_REVOKE: &str = "/v1/sessions/revoke";
    /// [`super::SignRequest`] to [`super::Signed`].
    pub const SIGN_TRANSACTION: &str = "/v1/sign/transaction";
    /// [`super::SignRequest`] to [`super::Signed`].
    pub const SIGN_MESSAGE: &str = "/v1/sign/message";
    /// [`OfWallet`](crate::config::OfWallet) to [`WalletConfig`](crate::config::WalletConfig).
    pub const CONFIG_SHOW: &str = "/v1/wallets/config/show";
    /// [`UpdateConfig`](crate::config::UpdateConfig) to [`WalletConfig`](crate::config::WalletConfig).
    pub const CONFIG_UPDATE: &str = "/v1/wallets/config/update";
    /// [`OfWallet`](crate::config::OfWallet) to [`AttestedRoot`](crate::config::AttestedRoot).
    pub const CONFIG_ATTEST: &str = "/v1/wallets/config/attest";
    /// [`OfWallet`](crate::config::OfWallet) to [`PreparedOwner`](crate::config::PreparedOwner).
    pub const OWNER_PREPARE: &str = "/v1/wallets/config/prepare-owner";
    /// [`super::CreateProject`] to [`super::ProjectInfo`].
    pub const PROJECT_CREATE: &str = "/v1/projects/create";
    /// [`ChangeProject`](crate::project_command::ChangeProject) to
    /// [`ProjectChanged`](crate::project_command::ProjectChanged).
    pub const PROJECT_CHANGE: &str = "/v1/projects/change";
    /// [`ShowProject`](crate::project_command::ShowProject) to
    /// [`ProjectShown`](crate::project_command::ProjectShown).
    pub const PROJECT_SHOW: &str = "/v1/projects/show";
}

/// Largest body inside the channel, bytes.
pub const MAX_BODY: usize = 64 * 1024;
/// Most calls in one transaction.
pub const MAX_CALLS: usize = 64;
/// Longest message to sign, bytes.
pub const MAX_MESSAGE: usize = 16 * 1024;

/// An empty body: `{}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// A session.
#[derive(Clone, Serialize, Deserialize)]
pub struct SignedIn {
    /// The account.
    pub account: AccountId,
    /// Names the session.
    pub session: SessionId,
    /// The attestation, or where it is.
    #[serde(flatten)]
    pub attestation: HeldAttestation,
    /// Unix seconds at which the attestation ends; renew before.
    pub attestation_expires: u64,
    /// Unix seconds at which the session ends; sign in again after.
    pub session_ends: u64,
    /// Whether the device may act yet.
    pub device: DeviceState,
    /// The account's wallets; none while the device may not act.
    pub wallets: Vec<WalletInfo>,
}

/// A renewed attestation. It names no wallet while the device may not act.
#[derive(Clone, Serialize, Deserialize)]
pub struct Renewed {
    /// The attestation, or where it is.
    #[serde(flatten)]
    pub attestation: HeldAttestation,
    /// Unix seconds.
    pub attestation_expires: u64,
    /// Whether the device may act yet.
    pub device: DeviceState,
}

/// How far the end of a session or device has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Revocation {
    /// Enough holders stored it.
    Done,
    /// Fewer holders than a write quorum stored it; ask again.
    Pending,
}

/// A session that was ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SignedOut {
    /// How far it has come.
    pub state: Revocation,
}

/// Makes a wallet, or returns the one that has this label already.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateWallet {
    /// Unique in the account; at most 64 characters. Asking twice returns the same wallet.
    pub label: String,
}

/// A wallet, as its owner sees it. All of it is public on chain once the wallet is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WalletInfo {
    /// Unique in the account.
    pub label: String,
    /// Address on every EVM chain.
    pub address: Address,
    /// Which contracts its address comes from.
    pub context: ContextName,
    /// The key that signs for it.
    pub key: KeyId,
    /// The whole configuration.
    pub config: Config,
    /// Its Merkle root.
    pub image_hash: B256,
    /// Unix seconds.
    pub created: u64,
}

/// The account's wallets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Wallets {
    /// Oldest first.
    pub wallets: Vec<WalletInfo>,
}

/// A device of the account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// Thumbprint of its key.
    pub device: Thumbprint,
    /// What it is called.
    pub name: String,
    /// Unix seconds at which it signed in first.
    pub added: u64,
    /// Unix seconds of its last use of a key, where holders saw one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<u64>,
    /// Whether it may act.
    pub state: DeviceState,
    /// Whether it is the one that asks.
    pub this: bool,
}

/// The account's devices.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Devices {
    /// Oldest first.
    pub devices: Vec<DeviceInfo>,
}

/// Lets a pending device act.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproveDevice {
    /// Thumbprint of its key; also in the signed intent.
    pub device: Thumbprint,
}

/// Takes a device off the account for good, with its sessions.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeDevice {
    /// Thumbprint of its key; also in the signed intent.
    pub device: Thumbprint,
}

/// Ends a session of the account.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeSession {
    /// Its id; also in the signed intent.
    pub session: SessionId,
}

/// Something that was ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Revoked {
    /// How far it has come.
    pub state: Revocation,
}

/// A session of the account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionInfo {
    /// Names it.
    pub session: SessionId,
    /// Thumbprint of the device's key that it was made for.
    pub device: Thumbprint,
    /// What that device is called.
    pub device_name: String,
    /// Unix seconds of the sign-in.
    pub started: u64,
    /// Unix seconds at which it ends by itself.
    pub ends: u64,
    /// How the person signed in (RFC 8176).
    pub amr: Vec<String>,
    /// How well.
    pub acr: String,
    /// Whether it is the one that asks.
    pub this: bool,
}

/// The account's sessions that did not end yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sessions {
    /// Oldest first.
    pub sessions: Vec<SessionInfo>,
}

/// One call of a transaction, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WireCall {
    /// Target.
    pub to: Address,
    /// Wei.
    #[serde(default)]
    pub value: U256,
    /// Call data.
    #[serde(default)]
    pub data: Bytes,
    /// Gas units that must be left for the call; 0 for none in particular.
    #[serde(default)]
    pub gas_limit: U256,
    /// Go on when the call fails. Otherwise the whole transaction reverts. Needs a `gas_limit`.
    #[serde(default)]
    pub ignore_error: bool,
}

/// What is to be signed, as JSON. Delegate calls, fallbacks and bare digests cannot be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum WirePayload {
    /// A batch of calls.
    Transaction {
        /// Nonce space.
        space: U160,
        /// Next nonce of the space, below 2^56.
        nonce: u64,
        /// 1 to [`MAX_CALLS`].
        calls: Vec<WireCall>,
    },
    /// A text or bytes, signed under the EIP-191 prefix.
    Message {
        /// The bytes, without the prefix; at most [`MAX_MESSAGE`].
        message: Bytes,
    },
}

/// Says why a payload was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// No call, or too many.
    #[error("a transaction has 1 to 64 calls")]
    CallCount,
    /// The nonce does not fit 56 bits.
    #[error("the nonce is too large")]
    Nonce,
    /// The message or the call data is too long.
    #[error("the message or call data is too long")]
    TooLong,
    /// A call may fail and has no gas limit: whoever sends the transaction could give it so little
    /// gas that it fails, and the nonce would be spent all the same.
    #[error("a call that may fail needs a gas limit")]
    GasLimit,
    /// The chain id is 0, which would be valid on every chain.
    #[error("the chain id is missing")]
    ChainId,
}

impl WirePayload {
    /// Turns the JSON form into the payload that is hashed.
    ///
    /// # Errors
    ///
    /// [`PayloadError`].
    pub fn to_payload(&self) -> Result<Payload, PayloadError> {
        let body = match self {
            Self::Transaction {
                space,
                nonce,
                calls,
            } => {
                if !(1..=MAX_CALLS).contains(&calls.len()) {
                    return Err(PayloadError::CallCount);
                }
                if *nonce >= 1 << 56 {
                    return Err(PayloadError::Nonce);
                }
                if calls.iter().map(|call| call.data.len()).sum::<usize>() > MAX_BODY {
                    return Err(PayloadError::TooLong);
                }
                if calls
                    .iter()
                    .any(|call| call.ignore_error && call.gas_limit.is_zero())
                {
                    return Err(PayloadError::GasLimit);
                }
                PayloadBody::Calls {
                    space: *space,
                    nonce: *nonce,
                    calls: calls.iter().map(WireCall::to_call).collect(),
                }
            }
            Self::Message { message } => {
                if message.len() > MAX_MESSAGE {
                    return Err(PayloadError::TooLong);
                }
                PayloadBody::Message(keyfold_wallet::payload::eip191(message))
            }
        };
        Ok(Payload {
            body,
            parent_wallets: Vec::new(),
        })
    }
}

impl WireCall {
    fn to_call(&self) -> Call {
        Call {
            to: self.to,
            value: self.value,
            data: self.data.clone(),
            gas_limit: self.gas_limit,
            delegate_call: false,
            only_fallback: false,
            behavior_on_error: if self.ignore_error {
                BehaviorOnError::Ignore
            } else {
                BehaviorOnError::Revert
            },
        }
    }
}

/// Asks for a signature of a wallet. The intent names wallet, key and digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignRequest {
    /// The wallet.
    pub wallet: Address,
    /// The chain; never 0.
    pub chain_id: u64,
    /// What is to be signed.
    pub payload: WirePayload,
    /// The root that the chain knows, where it was told of a later one than the first: the signature
    /// leads from there. Not part of what is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_chain: Option<B256>,
}

impl SignRequest {
    /// Computes the digest that the wallet's signers sign, and that the intent must name.
    ///
    /// # Errors
    ///
    /// [`PayloadError`].
    pub fn digest(&self) -> Result<(Payload, Digest32), PayloadError> {
        if self.chain_id == 0 {
            return Err(PayloadError::ChainId);
        }
        let payload = self.payload.to_payload()?;
        let hash = payload.op_hash(&self.wallet, self.chain_id);
        Ok((payload, Digest32::from_bytes(hash.0)))
    }
}

/// A wallet's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The digest that was signed.
    pub digest: Digest32,
    /// The wallet's signature: configuration proof with the signers' parts.
    pub signature: Bytes,
}

/// What a project may do; sealed in the enclave, changed only by its administrators.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateProject {
    /// The app's domain.
    pub project: ProjectId,
    /// Shown in mails; at most 64 characters.
    pub display_name: String,
    /// The administrator's key; it must have signed this request.
    pub administrator: PublicJwk,
    /// How codes are mailed.
    pub mail: MailSettings,
    /// The guard; absent where the project has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardSettings>,
    /// The checkpointer contract of every new wallet; absent where wallets have none. Once a wallet
    /// has one, each of its signatures counts for as long as the word about its root does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpointer: Option<Address>,
    /// The contracts of every new wallet, one of [`ContextName::CHOICES`]. Addresses come from them,
    /// so a project keeps what it was made with.
    #[serde(default)]
    pub contracts: ContextName,
    /// How people sign in; by code where absent.
    #[serde(default)]
    pub sign_in: SignInSettings,
}

/// How the enclave sends a project's mail: SMTP with TLS that ends in the enclave.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailSettings {
    /// Host name of the server, as in its certificate.
    pub host: String,
    /// Port, usually 465 with implicit TLS and 587 with STARTTLS.
    pub port: u16,
    /// How TLS begins.
    #[serde(default, skip_serializing_if = "MailSecurity::is_default")]
    pub security: MailSecurity,
    /// Sender address.
    pub from: String,
    /// User name, where the server asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password, where the server asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretText>,
    /// PEM certificates that the server's certificate must lead to; the public roots where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roots_pem: Option<String>,
}

/// How TLS with a mail server begins. There is no way without.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailSecurity {
    /// With the first byte (RFC 8314).
    #[default]
    ImplicitTls,
    /// After the command STARTTLS (RFC 3207), before anything of a mail; a server that does not offer
    /// it gets none.
    Starttls,
}

impl MailSecurity {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Where a project's guard is and which key it signs with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardSettings {
    /// `host:port`.
    pub address: String,
    /// SHA-256 of the SubjectPublicKeyInfo of its TLS certificate.
    pub tls_spki_sha256: Digest32,
    /// The project's signer in the guard; a leaf of every wallet.
    pub signer: Address,
}

/// A project, as anybody may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectInfo {
    /// The app's domain.
    pub project: ProjectId,
    /// The guard's signer, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard_signer: Option<Address>,
    /// The contracts of its wallets.
    pub contracts: ContextName,
}

impl core::fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SignedIn")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

impl core::fmt::Debug for Renewed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Renewed").finish_non_exhaustive()
    }
}

impl core::fmt::Debug for CreateProject {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CreateProject")
            .field("project", &self.project)
            .finish_non_exhaustive()
    }
}

impl core::fmt::Debug for MailSettings {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("MailSettings")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}
