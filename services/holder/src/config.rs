//! What the operator of a holder decides.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use keyfold_attest::{MeasurementPolicy, Measurements, TrustRoot};
use keyfold_identity::oidc::keys::Algorithm;
use keyfold_identity::oidc::url::{HttpsUrl, MAX_URL_LEN};
use keyfold_net::Confinement;
use keyfold_protocol::holder_api::AttemptKind;
use keyfold_protocol::realm::MAX_TEXT;
use keyfold_protocol::session::MAX_SESSION_SECONDS;
use keyfold_storage::config_file::{self, ConfigFileError};
use serde::{Deserialize, Serialize};

/// Name of the configuration file in a holder's folder.
pub const CONFIG_FILE: &str = "holder.toml";

/// Longest delay before a new device may act: 30 days.
const MAX_DEVICE_DELAY_SECONDS: u64 = 30 * 86_400;

/// Most issuers that are believed.
const MAX_ISSUERS: usize = 16;

/// A holder's configuration: `holder.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HolderConfig {
    /// Short name, for people: letters, digits, dots and hyphens.
    pub name: String,
    /// The party that runs the holder.
    pub party: String,
    /// Where it stands.
    pub region: String,
    /// `host:port` under which enclaves reach it. Instances sign it as the authority.
    pub address: String,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Folder of keys and database; relative to the configuration file.
    #[serde(default = "defaults::data_dir")]
    pub data_dir: PathBuf,
    /// File with the measurements this holder approved, a JSON list; relative to the configuration
    /// file.
    #[serde(default = "defaults::measurement_policy")]
    pub measurement_policy: PathBuf,
    /// Origin of the holder's log; `<name>.holder.keyfold` where absent. Never changes afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_origin: Option<String>,
    /// Seconds before a further device of an account may act without approval.
    #[serde(default = "defaults::new_device_delay_seconds")]
    pub new_device_delay_seconds: u64,
    /// Seconds since the person signed in, after which a session opens nothing any more.
    #[serde(default = "defaults::max_auth_age_seconds")]
    pub max_auth_age_seconds: u64,
    /// Releases of one key in a minute.
    #[serde(default = "defaults::releases_per_key_per_minute")]
    pub releases_per_key_per_minute: u32,
    /// Sign-in mails of one project to one address in an hour.
    #[serde(default = "defaults::mails_per_address_per_hour")]
    pub mails_per_address_per_hour: u32,
    /// Sign-in mails of one project to one address in a day.
    #[serde(default = "defaults::mails_per_address_per_day")]
    pub mails_per_address_per_day: u32,
    /// Sign-in mails of all projects together to one address in a day; five times those of one
    /// project where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mails_per_address_total_per_day: Option<u32>,
    /// Connections at once from one address (in IPv6, one network of 64 bits). All instances behind
    /// one host are one address.
    #[serde(default = "defaults::connections_per_address")]
    pub connections_per_address: usize,
    /// How often a secret may be guessed at.
    #[serde(default)]
    pub attempts: AttemptLimits,
    /// Issuers whose word on who uses a new device is believed; at most 16, none where absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issuers: Vec<IssuerConfig>,
}

/// An issuer of ID tokens that is believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// `iss`, to the letter.
    pub issuer: String,
    /// Where its keys are: an `https` address of a public name.
    pub jwks_uri: String,
    /// `RS256`, `ES256`, `EdDSA`: which it signs with.
    #[serde(default = "defaults::algorithms")]
    pub algorithms: Vec<String>,
    /// File with the certificates that its server's must lead to, relative to the configuration
    /// file; the public roots where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roots_pem: Option<PathBuf>,
    /// `host:port` to connect to in place of the address's own, such as a proxy that passes bytes on.
    /// The certificate must be for the address's name all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_to: Option<String>,
}

impl IssuerConfig {
    /// Makes the configuration of an issuer that is reached where it says.
    pub fn new(issuer: &str, jwks_uri: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            jwks_uri: jwks_uri.to_owned(),
            algorithms: defaults::algorithms(),
            roots_pem: None,
            connect_to: None,
        }
    }

    pub(crate) fn algorithms(&self) -> Vec<Algorithm> {
        let names = self.algorithms.iter();
        names
            .filter_map(|name| Algorithm::from_name(name))
            .collect()
    }

    fn is_sound(&self) -> bool {
        let known = self.algorithms();
        let connect_to = |text: &String| text.parse::<http::uri::Authority>().is_ok();
        HttpsUrl::parse(&self.jwks_uri).is_ok()
            && !self.issuer.is_empty()
            && self.issuer.len() <= MAX_URL_LEN
            && !known.is_empty()
            && known.len() == self.algorithms.len()
            && self.connect_to.as_ref().is_none_or(connect_to)
    }
}

/// How often a secret may be guessed at, whatever becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AttemptLimits {
    /// A password.
    pub password: AttemptLimit,
    /// A code of an app, six digits.
    pub totp: AttemptLimit,
    /// A code on paper.
    pub recovery_code: AttemptLimit,
}

/// Attempts within fixed windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptLimit {
    /// In an hour.
    pub per_hour: u32,
    /// In a day.
    pub per_day: u32,
}

impl Default for AttemptLimits {
    fn default() -> Self {
        let limit = |per_hour, per_day| AttemptLimit { per_hour, per_day };
        Self {
            password: limit(10, 30),
            totp: limit(5, 10),
            recovery_code: limit(5, 10),
        }
    }
}

impl AttemptLimits {
    pub(crate) fn of(&self, kind: AttemptKind) -> AttemptLimit {
        match kind {
            AttemptKind::Password => self.password,
            AttemptKind::Totp => self.totp,
            AttemptKind::RecoveryCode => self.recovery_code,
            // Whatever the operator thinks of guesses.
            AttemptKind::Token => AttemptLimit {
                per_hour: 1,
                per_day: 1,
            },
        }
    }
}

mod defaults {
    use std::path::PathBuf;

    pub(super) fn data_dir() -> PathBuf {
        PathBuf::from(".")
    }
    pub(super) fn measurement_policy() -> PathBuf {
        PathBuf::from("measurements.json")
    }
    pub(super) const fn new_device_delay_seconds() -> u64 {
        86_400
    }
    pub(super) const fn max_auth_age_seconds() -> u64 {
        30 * 86_400
    }
    pub(super) const fn releases_per_key_per_minute() -> u32 {
        120
    }
    pub(super) const fn mails_per_address_per_hour() -> u32 {
        5
    }
    pub(super) const fn mails_per_address_per_day() -> u32 {
        20
    }
    pub(super) const fn connections_per_address() -> usize {
        256
    }
    pub(super) fn algorithms() -> Vec<String> {
        ["RS256", "ES256", "EdDSA"].map(str::to_owned).to_vec()
    }
}

/// Why a configuration or policy cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read or written, or is not TOML of this shape.
    #[error(transparent)]
    File(#[from] ConfigFileError),
    /// It is not a list of measurements.
    #[error("{path} is not a JSON list of measurements (pcr0, pcr1, pcr2 in hexadecimal)")]
    Policy {
        /// The file.
        path: PathBuf,
    },
    /// A value is out of bounds.
    #[error("{field}: {problem}")]
    Value {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl HolderConfig {
    /// Makes the configuration of a holder with the default limits.
    pub fn new(name: &str, party: &str, region: &str, address: &str, listen: SocketAddr) -> Self {
        Self {
            name: name.to_owned(),
            party: party.to_owned(),
            region: region.to_owned(),
            address: address.to_owned(),
            listen,
            data_dir: defaults::data_dir(),
            measurement_policy: defaults::measurement_policy(),
            log_origin: None,
            new_device_delay_seconds: defaults::new_device_delay_seconds(),
            max_auth_age_seconds: defaults::max_auth_age_seconds(),
            releases_per_key_per_minute: defaults::releases_per_key_per_minute(),
            mails_per_address_per_hour: defaults::mails_per_address_per_hour(),
            mails_per_address_per_day: defaults::mails_per_address_per_day(),
            mails_per_address_total_per_day: None,
            connections_per_address: defaults::connections_per_address(),
            attempts: AttemptLimits::default(),
            issuers: Vec::new(),
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
        config.measurement_policy = folder.join(&config.measurement_policy);
        for issuer in &mut config.issuers {
            issuer.roots_pem = issuer.roots_pem.as_ref().map(|path| folder.join(path));
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

    /// Checks that every value is within its bounds.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let bad = |field, problem| Err(ConfigError::Value { field, problem });
        let name_ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(name_ok) {
            return bad("name", "use 1 to 64 letters, digits, dots and hyphens");
        }
        let text_ok = |text: &str| {
            !text.is_empty() && text.len() <= MAX_TEXT && !text.chars().any(char::is_control)
        };
        for (field, text) in [("party", &self.party), ("region", &self.region)] {
            if !text_ok(text) {
                return bad(field, "use 1 to 253 printable characters");
            }
        }
        let visible = self.address.bytes().all(|b| b.is_ascii_graphic());
        if !text_ok(&self.address) || !visible || self.host().is_none() {
            return bad("address", "write host:port");
        }
        if self.new_device_delay_seconds > MAX_DEVICE_DELAY_SECONDS {
            return bad("new_device_delay_seconds", "at most 30 days");
        }
        if !(1..=MAX_SESSION_SECONDS).contains(&self.max_auth_age_seconds) {
            return bad("max_auth_age_seconds", "at least 1 second, at most 30 days");
        }
        if self.releases_per_key_per_minute == 0 {
            return bad("releases_per_key_per_minute", "at least 1");
        }
        if self.mails_per_address_per_hour == 0
            || self.mails_per_address_per_day < self.mails_per_address_per_hour
        {
            return bad(
                "mails_per_address_per_day",
                "at least as many as per hour, which is at least 1",
            );
        }
        if self.mails_per_address_total_per_day() < self.mails_per_address_per_day {
            return bad(
                "mails_per_address_total_per_day",
                "at least as many as of one project",
            );
        }
        if self.connections_per_address == 0 {
            return bad("connections_per_address", "at least 1");
        }
        let AttemptLimits {
            password,
            totp,
            recovery_code,
        } = self.attempts;
        let sound = |limit: AttemptLimit| (1..=limit.per_day).contains(&limit.per_hour);
        if ![password, totp, recovery_code].into_iter().all(sound) {
            return bad(
                "attempts",
                "at least as many a day as an hour, which is at least 1",
            );
        }
        let distinct = |(at, issuer): (usize, &IssuerConfig)| {
            let before = self.issuers.iter().take(at);
            issuer.is_sound()
                && before
                    .into_iter()
                    .all(|other| other.issuer != issuer.issuer)
        };
        if self.issuers.len() > MAX_ISSUERS || !self.issuers.iter().enumerate().all(distinct) {
            return bad(
                "issuers",
                "at most 16, each once, with an https jwks_uri and algorithms that are known",
            );
        }
        Ok(())
    }

    /// Returns how many sign-in mails all projects together may send to one address in a day.
    pub fn mails_per_address_total_per_day(&self) -> u32 {
        self.mails_per_address_total_per_day
            .unwrap_or_else(|| self.mails_per_address_per_day.saturating_mul(5))
    }

    /// Returns the host of the public address.
    pub(crate) fn host(&self) -> Option<&str> {
        let (host, port) = self.address.rsplit_once(':')?;
        port.parse::<u16>().ok().filter(|port| *port != 0)?;
        (!host.is_empty()).then(|| host.trim_start_matches('[').trim_end_matches(']'))
    }

    /// Returns the origin of the holder's log.
    pub fn log_origin(&self) -> String {
        self.log_origin
            .clone()
            .unwrap_or_else(|| format!("{}.holder.keyfold", self.name))
    }

    /// Returns the path of the database.
    pub fn database_path(&self) -> PathBuf {
        self.data_dir.join("holder.db")
    }

    /// Returns what a holder's process needs to touch.
    pub fn confinement(&self) -> Confinement {
        let own = Confinement::new()
            .writes_beneath(&self.data_dir)
            .reads(&self.measurement_policy);
        let roots = self.issuers.iter().filter_map(|it| it.roots_pem.as_ref());
        let confinement = roots.fold(own, Confinement::reads);
        if self.issuers.is_empty() {
            // It asks nobody.
            confinement
        } else {
            confinement.resolves_names()
        }
    }

    /// Returns the path of the master key.
    pub fn master_key_path(&self) -> PathBuf {
        self.data_dir.join("master.key")
    }
}

/// What a holder believes of attestation documents: an argument, never a configuration value.
#[derive(Debug, Clone)]
pub struct Trust {
    /// Who signs documents. Release binaries pass [`TrustRoot::aws_nitro`] and nothing else.
    pub root: TrustRoot,
    /// The images this holder approved.
    pub policy: MeasurementPolicy,
}

impl Trust {
    /// Trusts AWS's root and the measurements in a file.
    ///
    /// # Errors
    ///
    /// [`ConfigError`].
    pub fn aws_nitro(measurements: &Path) -> Result<Self, ConfigError> {
        Ok(Self {
            root: TrustRoot::aws_nitro(),
            policy: load_policy(measurements)?,
        })
    }
}

/// Reads the measurements that the operator approved: a JSON list.
///
/// # Errors
///
/// [`ConfigError`].
pub fn load_policy(path: &Path) -> Result<MeasurementPolicy, ConfigError> {
    let text = config_file::read_text(path)?;
    let allowed: Vec<Measurements> =
        serde_json::from_str(&text).map_err(|_| ConfigError::Policy {
            path: path.to_owned(),
        })?;
    Ok(MeasurementPolicy::new(allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> HolderConfig {
        let listen = "127.0.0.1:7101".parse().unwrap();
        HolderConfig::new("h1", "party", "region", "holder.example:7101", listen)
    }

    #[test]
    fn a_saved_configuration_is_read_back_with_paths_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CONFIG_FILE);
        config().save_new(&path).unwrap();
        let read = HolderConfig::load(&path).unwrap();
        assert_eq!(read.data_dir, dir.path().join("."));
        assert_eq!(
            HolderConfig {
                data_dir: ".".into(),
                ..read.clone()
            }
            .name,
            "h1"
        );
        assert_eq!(read.new_device_delay_seconds, 86_400);
        assert_eq!(read.issuers, Vec::new(), "nobody is believed by default");
        assert_eq!(read.attempts, AttemptLimits::default());
        assert!(config().save_new(&path).is_err());
    }

    #[test]
    fn the_roots_of_an_issuer_lie_beside_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CONFIG_FILE);
        let mut config = config();
        let mut issuer = IssuerConfig::new("https://issuer.example", "https://issuer.example/k");
        issuer.roots_pem = Some("roots.pem".into());
        config.issuers.push(issuer);
        config.save_new(&path).unwrap();
        let read = HolderConfig::load(&path).unwrap();
        let roots = dir.path().join("roots.pem");
        assert_eq!(read.issuers[0].roots_pem.as_ref(), Some(&roots));
    }

    #[test]
    fn an_unknown_field_is_refused_rather_than_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CONFIG_FILE);
        let text = toml::to_string(&config()).unwrap() + "new_device_delay = 0\n";
        std::fs::write(&path, text).unwrap();
        assert!(matches!(
            HolderConfig::load(&path),
            Err(ConfigError::File(ConfigFileError::Toml { .. }))
        ));
    }

    #[test]
    fn values_out_of_bounds_are_refused() {
        use IssuerConfig as Issuer;
        let cases: [fn(&mut HolderConfig); 16] = [
            |c| c.attempts.totp.per_hour = 0,
            |c| c.attempts.password.per_day = 1,
            |c| c.issuers = vec![Issuer::new("i", "http://issuer.example/jwks")],
            |c| c.issuers = vec![Issuer::new("i", "https://127.0.0.1/jwks")],
            |c| c.issuers = vec![Issuer::new("i", "https://issuer.example/jwks"); 2],
            |c| {
                c.issuers = vec![Issuer::new("i", "https://issuer.example/jwks")];
                c.issuers[0].algorithms.push("none".to_owned());
            },
            |c| c.name = "a/b".to_owned(),
            |c| c.party.clear(),
            |c| c.address = "holder.example".to_owned(),
            |c| c.address = ":7101".to_owned(),
            |c| c.max_auth_age_seconds = 31 * 86_400,
            |c| c.new_device_delay_seconds = u64::MAX,
            |c| c.releases_per_key_per_minute = 0,
            |c| c.mails_per_address_per_day = 1,
            |c| c.mails_per_address_total_per_day = Some(19),
            |c| c.connections_per_address = 0,
        ];
        for change in cases {
            let mut config = config();
            assert!(config.check().is_ok());
            change(&mut config);
            assert!(
                matches!(config.check(), Err(ConfigError::Value { .. })),
                "{config:?}"
            );
        }
    }
}
