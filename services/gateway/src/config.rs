//! What the operator of a gateway decides.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use keyfold_net::pipe::{AllowList, Target};
use keyfold_net::{Confinement, SpkiPin};
use keyfold_protocol::gateway_api::HOST_AUTHORITY;
use keyfold_protocol::session::Issuer;
use keyfold_storage::config_file::{self, ConfigFileError};
use serde::{Deserialize, Serialize};

use crate::origin::BrowserOrigin;
use crate::pipes::{Inbound, Outbound};

/// Name of the configuration file in a gateway's folder.
pub const CONFIG_FILE: &str = "gateway.toml";
/// Longest period of a rate limit: a day.
const MAX_PERIOD_SECONDS: u32 = 86_400;

/// A gateway's configuration: `gateway.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// Address of the public API.
    pub listen: SocketAddr,
    /// `https://host` or `https://host:port` at which everybody reaches the public API: the issuer of
    /// ID tokens, in projects' settings to the letter. Absent where apps' servers take none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_url: Option<Issuer>,
    /// Names in the TLS certificate, where one is generated.
    #[serde(default = "default_names")]
    pub names: Vec<String>,
    /// Folder of the database; relative to the configuration file.
    #[serde(default = "default_data_dir")]
    pub data_dir: PathBuf,
    /// Folder with `tls-cert.pem` and `tls-key.pem`, generated there where both are absent; the
    /// data folder unless set. Relative to the configuration file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_dir: Option<PathBuf>,
    /// Networks of proxies whose `X-Forwarded-For` is believed.
    #[serde(default)]
    pub trusted_proxies: Vec<IpNet>,
    /// Origins of web pages that may read answers, and whose cookies count: `https://app.example`.
    #[serde(default, with = "text_list", skip_serializing_if = "Vec::is_empty")]
    pub browser_origins: Vec<BrowserOrigin>,
    /// Limits per client address.
    #[serde(default)]
    pub rate_limits: RateLimits,
    /// Where wallets' calls are sent; absent where there is no relayer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relayer: Option<RelayerConfig>,
    /// The enclaves of this host.
    #[serde(default)]
    pub enclaves: Vec<EnclaveSockets>,
    /// What enclaves may connect to.
    #[serde(default)]
    pub egress: Vec<EgressTarget>,
}

/// The two sockets of an enclave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnclaveSockets {
    /// Where the enclave listens: a path, or `vsock:CID`.
    #[serde(with = "text")]
    pub inbound: Inbound,
    /// Where the gateway listens for the enclave: a path, or `vsock`.
    #[serde(with = "text")]
    pub outbound: Outbound,
}

/// A host and port that enclaves may connect to: holders, guards, projects' mail servers, and the
/// OpenID providers and chains' nodes that projects name.
///
/// With `at` the host connects elsewhere than the resolver says, as `curl --connect-to` does. TLS ends
/// in the enclave, which checks the name that it said: nobody else is let in by this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EgressTarget {
    /// `host:port`, as the enclave names it.
    #[serde(with = "text")]
    pub target: Target,
    /// `host:port` to connect to in its place.
    #[serde(default, with = "text_option", skip_serializing_if = "Option::is_none")]
    pub at: Option<Target>,
}

/// The relayer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayerConfig {
    /// `host:port`.
    #[serde(with = "text")]
    pub address: Target,
    /// SHA-256 of its TLS key's SubjectPublicKeyInfo, hexadecimal.
    #[serde(with = "text")]
    pub spki_sha256: SpkiPin,
}

/// So many requests at once, and so many again over a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Requests.
    pub requests: NonZeroU32,
    /// Seconds.
    pub per_seconds: NonZeroU32,
}

/// Limits for each client address (for IPv6, each network of 64 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimits {
    /// All requests of the public API.
    pub requests: Rate,
    /// Sealed requests: sign-in, signing and all else.
    pub sealed: Rate,
    /// Attestation documents, which cost the enclave most.
    pub attestations: Rate,
    /// Transactions handed to the relayer.
    pub transactions: Rate,
}

const fn rate(requests: u32, per_seconds: u32) -> Rate {
    Rate {
        requests: at_least_one(requests),
        per_seconds: at_least_one(per_seconds),
    }
}

const fn at_least_one(n: u32) -> NonZeroU32 {
    match NonZeroU32::new(n) {
        Some(n) => n,
        None => NonZeroU32::MIN,
    }
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            requests: rate(1200, 60),
            sealed: rate(600, 60),
            attestations: rate(60, 60),
            transactions: rate(120, 60),
        }
    }
}

fn default_names() -> Vec<String> {
    vec!["localhost".to_owned()]
}

fn default_data_dir() -> PathBuf {
    PathBuf::from(".")
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read or written, or is not TOML of this shape.
    #[error(transparent)]
    File(#[from] ConfigFileError),
    /// A value is out of bounds.
    #[error("{field}: {problem}")]
    Value {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl GatewayConfig {
    /// Makes the configuration of a gateway without enclaves, egress or relayer.
    pub fn new(listen: SocketAddr, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            listen,
            public_url: None,
            names: default_names(),
            data_dir: data_dir.into(),
            tls_dir: None,
            trusted_proxies: Vec::new(),
            browser_origins: Vec::new(),
            rate_limits: RateLimits::default(),
            relayer: None,
            enclaves: Vec::new(),
            egress: Vec::new(),
        }
    }

    /// Reads a configuration file; paths in it become relative to the file's folder.
    ///
    /// # Errors
    ///
    /// [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = config_file::read_toml(path)?;
        config.check()?;
        let folder = path.parent().unwrap_or(Path::new("."));
        config.data_dir = folder.join(&config.data_dir);
        config.tls_dir = config.tls_dir.map(|dir| folder.join(dir));
        for enclave in &mut config.enclaves {
            enclave.inbound.beside(folder);
            enclave.outbound.beside(folder);
        }
        Ok(config)
    }

    /// Writes the configuration to a new file; an existing one is left alone.
    ///
    /// # Errors
    ///
    /// [`ConfigError`].
    pub fn save_new(&self, path: &Path) -> Result<(), ConfigError> {
        self.check()?;
        Ok(config_file::write_new_toml(path, self)?)
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let bad = |field, problem| Err(ConfigError::Value { field, problem });
        if self.names.is_empty() {
            return bad("names", "at least one name");
        }
        let mut pipes = BTreeSet::new();
        for EnclaveSockets { inbound, outbound } in &self.enclaves {
            let other = pipes.insert(inbound.to_string());
            let other = (outbound.is_shared() || pipes.insert(outbound.to_string())) && other;
            if !other {
                return bad("enclaves", "each socket must be another");
            }
        }
        let mut targets = BTreeSet::new();
        for egress in &self.egress {
            if egress.target.to_string() == HOST_AUTHORITY {
                return bad(
                    "egress",
                    "the record store is always reachable, and only here",
                );
            }
            if !targets.insert(&egress.target) {
                return bad("egress", "each target at most once");
            }
        }
        let RateLimits {
            requests,
            sealed,
            attestations,
            transactions,
        } = self.rate_limits;
        for rate in [requests, sealed, attestations, transactions] {
            if rate.per_seconds.get() > MAX_PERIOD_SECONDS {
                return bad("rate_limits", "a period is at most a day");
            }
        }
        Ok(())
    }

    /// Returns what a gateway's process needs to touch.
    pub fn confinement(&self) -> Confinement {
        let own = Confinement::new()
            .writes_beneath(&self.data_dir)
            .reads(self.tls_dir())
            .resolves_names();
        let pipes = self.enclaves.iter().flat_map(|enclave| {
            let paths = [enclave.inbound.path(), enclave.outbound.path()];
            paths.into_iter().flatten()
        });
        pipes.fold(own, Confinement::socket)
    }

    /// Returns the folder of the TLS key.
    pub fn tls_dir(&self) -> &Path {
        self.tls_dir.as_deref().unwrap_or(&self.data_dir)
    }

    /// Returns the path of the database.
    pub fn database_path(&self) -> PathBuf {
        self.data_dir.join("gateway.db")
    }

    pub(crate) fn allow_list(&self) -> AllowList {
        let mut list = AllowList::new();
        for egress in &self.egress {
            match &egress.at {
                Some(at) => list.allow_at(egress.target.clone(), at.clone()),
                None => list.allow(egress.target.clone()),
            }
        }
        list
    }
}

/// Values that are written as they print.
mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(from)?
            .parse()
            .map_err(de::Error::custom)
    }
}

mod text_list {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<T: Display, S: Serializer>(
        values: &[T],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, T, D>(from: D) -> Result<Vec<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let texts = Vec::<String>::deserialize(from)?;
        let parsed = texts.iter().map(|text| text.parse());
        parsed.collect::<Result<_, _>>().map_err(de::Error::custom)
    }
}

mod text_option {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<T, S>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error>
    where
        T: Display,
        S: Serializer,
    {
        match value {
            Some(value) => to.collect_str(value),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        super::text::deserialize(from).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"
        listen = "127.0.0.1:7000"
        public_url = "https://id.example"
        data_dir = "data"
        trusted_proxies = ["10.0.0.0/8"]
        browser_origins = ["https://app.example"]

        [rate_limits]
        attestations = { requests = 5, per_seconds = 10 }

        [relayer]
        address = "127.0.0.1:7300"
        spki_sha256 = "0000000000000000000000000000000000000000000000000000000000000001"

        [[enclaves]]
        inbound = "run/in.sock"
        outbound = "run/out.sock"

        [[egress]]
        target = "holder.example:443"

        [[egress]]
        target = "smtp.example:465"
        at = "127.0.0.1:2465"
    "#;

    #[test]
    fn a_configuration_is_read_with_paths_beside_the_file_and_written_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CONFIG_FILE);
        std::fs::write(&path, FULL).unwrap();
        let config = GatewayConfig::load(&path).unwrap();
        assert_eq!(config.database_path(), dir.path().join("data/gateway.db"));
        assert_eq!(
            config.enclaves[0].inbound,
            Inbound::Socket(dir.path().join("run/in.sock"))
        );
        assert_eq!(config.browser_origins[0].as_str(), "https://app.example");
        assert_eq!(config.rate_limits.attestations.requests.get(), 5);
        assert_eq!(config.rate_limits.sealed, RateLimits::default().sealed);
        assert_eq!(
            config.egress[1].at,
            Some("127.0.0.1:2465".parse::<Target>().unwrap())
        );
        let again = dir.path().join("again.toml");
        config.save_new(&again).unwrap();
        assert_eq!(GatewayConfig::load(&again).unwrap(), config);
        assert!(matches!(
            config.save_new(&again),
            Err(ConfigError::File(ConfigFileError::Io { .. }))
        ));
    }

    #[test]
    fn what_is_misspelt_repeated_or_reserved_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for (defect, from, to) in [
            ("misspelt", "trusted_proxies", "trusted_proxy"),
            ("every origin", "https://app.example", "*"),
            ("not a target", "holder.example:443", "holder.example"),
            ("a path", "https://id.example", "https://id.example/"),
            ("repeated", "smtp.example:465", "HOLDER.example:443"),
            (
                "reserved",
                "holder.example:443",
                "records.keyfold.internal:1",
            ),
            ("one socket", "run/out.sock", "run/in.sock"),
            ("a pin that is none", "0001\"", "001\""),
            ("nothing at all", "requests = 5", "requests = 0"),
            ("two days", "per_seconds = 10", "per_seconds = 172800"),
        ] {
            let path = dir.path().join("bad.toml");
            let text = FULL.replacen(from, to, 1);
            assert_ne!(text, FULL);
            std::fs::write(&path, text).unwrap();
            assert!(GatewayConfig::load(&path).is_err(), "{defect}");
        }
    }
}
