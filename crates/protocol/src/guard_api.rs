//! Messages between an enclave and a guard. Registration is the holders' ([`crate::holder_api`]).

use alloy_primitives::{Address, Bytes};
use serde::{Deserialize, Serialize};

use crate::client_api::SignRequest;
use crate::config::{UpdateConfig, WalletConfig};
use crate::ids::{Digest32, ProjectId, RequestId};

/// Paths of the guard's API.
pub mod path {
    /// A nonce for an attestation document.
    pub const NONCE: &str = "/v1/nonce";
    /// Registration of an instance.
    pub const REGISTER: &str = "/v1/register";
    /// `POST` [`super::Cosign`]: [`super::Cosigned`].
    pub const COSIGN: &str = "/v1/cosign";
    /// `POST` [`super::CosignUpdate`]: [`super::Cosigned`].
    pub const COSIGN_UPDATE: &str = "/v1/cosign-update";
    /// `GET`: [`super::GuardSigner`]; `{project}` in the path.
    pub const SIGNER: &str = "/v1/projects/{project}/signer";
}

/// Largest body a guard reads, bytes.
pub const MAX_BODY: usize = 256 * 1024;

/// The address a guard signs with for a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardSigner {
    /// The project.
    pub project: ProjectId,
    /// Its signer.
    pub signer: Address,
}

/// Asks for the guard's signature.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cosign {
    /// The project.
    pub project: ProjectId,
    /// The client's request id.
    pub request: RequestId,
    /// What is to be signed; the guard computes the digest itself.
    pub sign: SignRequest,
    /// Where a chain is told of the wallet's latest root: the wallet's configurations, each link
    /// signed by the guard too, so that it sees what it agreed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<WalletConfig>,
}

/// Asks for the guard's signature of a change of a wallet's configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CosignUpdate {
    /// The project.
    pub project: ProjectId,
    /// The client's request id.
    pub request: RequestId,
    /// The wallet's configurations, the latest of which is changed: the guard replays them, so
    /// that it sees what the change does, and to a wallet of its own.
    pub history: WalletConfig,
    /// The change; the guard computes the next root and the digest itself.
    pub update: UpdateConfig,
}

/// The guard agreed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cosigned {
    /// The digest as the guard computed it.
    pub digest: Digest32,
    /// 65 bytes: r, s, y parity (0 or 1).
    pub signature: Bytes,
    /// Version of the policy that decided.
    pub policy_version: u32,
}
