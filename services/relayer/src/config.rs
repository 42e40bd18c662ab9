//! What a relayer is told, and the folder it works in.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use ::http::Uri;
use alloy_primitives::Address;
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use keyfold_chain::{ArtifactError, DeployError, FeeBounds};
use keyfold_net::Confinement;
use keyfold_net::tls::{ServerTls, SpkiPin, TlsError};
use keyfold_storage::{MasterKey, MasterKeyError, MigrateError, OpenError, StorageError};
use keyfold_wallet::ContextName;
use serde::{Deserialize, Serialize};

use crate::keys::RelayerKey;

/// Configuration of a relayer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayerConfig {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Names in the TLS certificate.
    pub names: Vec<String>,
    /// Folder with the master key, the TLS key and the database.
    pub data: PathBuf,
    /// The chains it serves.
    pub chains: Vec<ChainConfig>,
    /// The contracts whose wallets it serves, by name. It deploys wallets with each of them, where a
    /// chain has them; all that a project may choose unless said otherwise.
    #[serde(default = "choices")]
    pub contracts: Vec<ContextName>,
    /// What strangers may cost.
    #[serde(default)]
    pub limits: RelayLimits,
}

impl RelayerConfig {
    /// Returns what a relayer's process needs to touch.
    pub fn confinement(&self) -> Confinement {
        let own = Confinement::new()
            .writes_beneath(&self.data)
            .resolves_names();
        let roots = self.chains.iter().filter_map(|it| it.rpc_roots.as_ref());
        roots.fold(own, Confinement::reads)
    }
}

/// One chain.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainConfig {
    /// Its id (EIP-155).
    pub chain_id: u64,
    /// The node.
    pub rpc_url: NodeUrl,
    /// PEM file with the roots that a node behind `https://` is verified against.
    #[serde(default)]
    pub rpc_roots: Option<PathBuf>,
    /// In how many blocks, its own counted, a transaction is final enough to be called mined.
    #[serde(default = "one")]
    pub confirmations: u64,
    /// In how many blocks nothing changes any more. Until then a settled transaction is looked at
    /// again, for a reorganisation may settle it otherwise.
    #[serde(default = "finality")]
    pub finality: u64,
    /// Seconds after which a transaction that is in no block is sent again, at a better price where
    /// its own is too low by then.
    #[serde(default = "resend_seconds")]
    pub resend_seconds: u64,
    /// What gas may cost.
    #[serde(default)]
    pub fees: FeeBounds,
    /// What all of it may cost.
    #[serde(default)]
    pub spending: SpendBounds,
}

/// What may be spent on one chain, in gwei of its coin: what transactions cost at most, whether or
/// not they cost that much in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpendBounds {
    /// For one transaction. Nodes refuse those above one coin unless told otherwise, and what they
    /// refuse stands in the way of all that follows.
    pub transaction_gwei: u64,
    /// For all wallets together, within a period.
    pub period_gwei: u64,
    /// For one wallet, within a period.
    pub wallet_gwei: u64,
    /// The period, seconds: it ends now, wherever that is.
    pub period_seconds: u64,
}

impl Default for SpendBounds {
    fn default() -> Self {
        Self {
            transaction_gwei: 900_000_000,
            period_gwei: 1_000_000_000,
            wallet_gwei: 100_000_000,
            period_seconds: 86_400,
        }
    }
}

impl ChainConfig {
    /// Names a chain and its node; the rest is as by default.
    pub fn new(chain_id: u64, rpc_url: NodeUrl) -> Self {
        Self {
            chain_id,
            rpc_url,
            rpc_roots: None,
            confirmations: one(),
            finality: finality(),
            resend_seconds: resend_seconds(),
            fees: FeeBounds::default(),
            spending: SpendBounds::default(),
        }
    }
}

/// What strangers may cost.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelayLimits {
    /// Gas of one transaction, deploying the wallet included.
    pub max_gas: u64,
    /// Transactions that one client may ask for in a minute.
    pub requests_per_minute: NonZeroU32,
    /// Questions that one client may ask in a minute; many of them reach the node.
    pub questions_per_minute: NonZeroU32,
    /// Networks or addresses of proxies whose `X-Forwarded-For` is believed. A gateway is one: where it is not
    /// named here, all its clients are one client.
    pub trusted_proxies: Vec<String>,
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self {
            max_gas: 5_000_000,
            requests_per_minute: NonZeroU32::MIN.saturating_add(119),
            questions_per_minute: NonZeroU32::MIN.saturating_add(599),
            trusted_proxies: Vec::new(),
        }
    }
}

fn choices() -> Vec<ContextName> {
    ContextName::CHOICES.to_vec()
}

const fn one() -> u64 {
    1
}

const fn finality() -> u64 {
    64
}

const fn resend_seconds() -> u64 {
    15
}

/// Where a node is: `https://`, or `http://` with a port on this machine.
///
/// # Security
///
/// Providers put their customers' secrets into the path: only the host is ever printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeUrl(String);

/// The text is no URL a node may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a node's URL is https://, or http:// with a port on the loopback interface")]
pub struct NodeUrlError;

impl NodeUrl {
    /// Whether the connection is encrypted.
    pub(crate) fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Host and port, which may be printed.
    pub(crate) fn authority(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        rest.split(['/', '?']).next().unwrap_or_default()
    }
}

impl TryFrom<String> for NodeUrl {
    type Error = NodeUrlError;

    fn try_from(text: String) -> Result<Self, NodeUrlError> {
        let uri: Uri = text.parse().map_err(|_| NodeUrlError)?;
        let authority = uri.authority().ok_or(NodeUrlError)?;
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        let loopback =
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let allowed = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => loopback && authority.port_u16().is_some(),
            _ => false,
        };
        if allowed && !authority.as_str().contains('@') {
            Ok(Self(text))
        } else {
            Err(NodeUrlError)
        }
    }
}

impl std::str::FromStr for NodeUrl {
    type Err = NodeUrlError;

    fn from_str(text: &str) -> Result<Self, NodeUrlError> {
        text.to_owned().try_into()
    }
}

impl From<NodeUrl> for String {
    fn from(url: NodeUrl) -> Self {
        url.0
    }
}

impl std::fmt::Debug for NodeUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NodeUrl({}/..)", self.authority())
    }
}

/// Says why a relayer cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayerError {
    /// The configuration.
    #[error("the configuration is not acceptable: {0}")]
    Config(String),
    /// The master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The TLS key, or the roots of a node.
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database has another schema.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The contracts that are compiled in.
    #[error(transparent)]
    Artifacts(#[from] ArtifactError),
    /// Contracts cannot be deployed.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// A file or socket.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl RelayerError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// Under what a relayer is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The address that pays for gas, on every chain: fund it.
    pub address: Address,
    /// The pin of its TLS key.
    pub pin: SpkiPin,
}

pub(crate) fn master_key_path(data: &Path) -> PathBuf {
    data.join("master.key")
}

pub(crate) fn database_path(data: &Path) -> PathBuf {
    data.join("relayer.db")
}

/// Makes the folder, the master key and the TLS key; what exists is kept.
///
/// Returns the address to fund and the pin of the TLS key.
///
/// # Errors
///
/// [`RelayerError`].
pub fn init(config: &RelayerConfig) -> Result<Identity, RelayerError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.data)
        .map_err(RelayerError::io(format!(
            "cannot make {}",
            config.data.display()
        )))?;
    let path = master_key_path(&config.data);
    let master = match MasterKey::init(&path, &mut UnwrapErr(SysRng)) {
        Err(MasterKeyError::Exists { .. }) => MasterKey::load(&path)?,
        made => made?,
    };
    let pin = ServerTls::from_pem_or_generate(&config.data, &config.names)?.pin();
    Ok(Identity {
        address: RelayerKey::derive(&master).address(),
        pin,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_reached_encrypted_or_on_this_machine() {
        for good in [
            "https://node.example",
            "https://node.example:8545/v2/key",
            "http://127.0.0.1:8545",
            "http://localhost:8545/",
            "http://[::1]:8545",
        ] {
            good.parse::<NodeUrl>().expect(good);
        }
        for bad in [
            "http://node.example:8545",
            "http://127.0.0.1",
            "http://127.0.0.1.node.example:8545",
            "https://user:secret@node.example",
            "ws://127.0.0.1:8545",
            "127.0.0.1:8545",
            "",
        ] {
            assert_eq!(bad.parse::<NodeUrl>(), Err(NodeUrlError), "{bad}");
        }
    }

    #[test]
    fn a_providers_secret_is_not_printed() {
        let url: NodeUrl = "https://node.example/v2/canary?key=canary".parse().unwrap();
        let config = ChainConfig::new(1, url);
        assert!(!format!("{config:?}").contains("canary"));
        assert!(format!("{config:?}").contains("node.example"));
    }

    #[test]
    fn the_folder_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let config = RelayerConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            names: vec!["localhost".to_owned()],
            data: dir.path().join("relayer"),
            chains: Vec::new(),
            contracts: choices(),
            limits: RelayLimits::default(),
        };
        init(&config).unwrap();
        let mode = std::fs::metadata(&config.data)
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_configuration_needs_only_what_has_no_default() {
        let config: RelayerConfig = toml::from_str(
            r#"
            listen = "127.0.0.1:0"
            names = ["localhost"]
            data = "relayer"
            [[chains]]
            chain_id = 31337
            rpc_url = "http://127.0.0.1:8545"
            "#,
        )
        .unwrap();
        let url = "http://127.0.0.1:8545".parse().unwrap();
        let chain = ChainConfig::new(31_337, url);
        let read = config.chains.first().unwrap();
        assert_eq!(format!("{read:?}"), format!("{chain:?}"));
        assert_eq!(config.contracts, ContextName::CHOICES);
        assert_eq!(config.limits.max_gas, RelayLimits::default().max_gas);
        assert!(toml::from_str::<RelayerConfig>("listen = \"127.0.0.1:0\"").is_err());
    }
}
