//! Profiles: which gateway, which realm, which code to trust.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use alloy_primitives::Address;
use http::uri::Authority;
use keyfold_attest::Measurements;
use keyfold_net::SpkiPin;
use keyfold_protocol::ids::{ProjectId, RealmId};
use keyfold_wallet::ContextName;
use serde::{Deserialize, Serialize};

/// Most bytes of a profile.
const MAX_FILE: u64 = 64 * 1024;
/// The profile where none is named.
const DEFAULT_NAME: &str = "default";

/// Who signs the attestation documents of a profile's realm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// AWS Nitro's root.
    AwsNitro,
    /// A development root. Only `keyfold-dev` uses such a profile.
    Development,
}

/// A profile as it stands in its file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileFile {
    /// `https://host[:port]` of the gateway.
    pub gateway: String,
    /// PEM file with the roots of the gateway's certificate; the system's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_ca: Option<PathBuf>,
    /// SHA-256 of the gateway's TLS key (SubjectPublicKeyInfo), in place of roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_spki: Option<String>,
    /// The realm's id.
    pub realm: RealmId,
    /// Whose attestation documents.
    pub kind: Kind,
    /// Root certificate (DER) of a development realm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_certificate: Option<PathBuf>,
    /// The app's domain, where commands name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// The chain, where commands name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<u64>,
    /// The guard's signer that every wallet must have, or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<String>,
    /// The checkpointer that wallets may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpointer: Option<Address>,
    /// The contracts that wallets must be of; Keyfold's own where absent.
    #[serde(default)]
    pub contracts: ContextName,
    /// Folder of the device's key and session; beside the profile where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<PathBuf>,
    /// Enclave images that are trusted.
    #[serde(default)]
    pub measurements: Vec<Measurements>,
}

/// How the gateway's TLS key is known.
#[derive(Debug, Clone, PartialEq)]
pub enum Gateway {
    /// By its hash.
    Pinned(SpkiPin),
    /// By a certificate under the roots in this PEM file.
    Roots(PathBuf),
    /// By a certificate under the system's roots.
    SystemRoots,
}

/// What is known of the project's guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Nothing.
    Any,
    /// There is none.
    Without,
    /// Its signer.
    Exactly(Address),
}

/// A profile that was read and checked; its paths are absolute or relative to the current folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Where it stands.
    pub path: PathBuf,
    /// Host and port of the gateway.
    pub authority: Authority,
    /// How its key is known.
    pub gateway: Gateway,
    /// What is known of the guard.
    pub guard: Guard,
    /// Folder of the device's key and session.
    pub state: PathBuf,
    /// The file's content.
    pub file: ProfileFile,
}

/// Says why there is no profile.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// There is no such file.
    #[error("there is no profile {}", .0.display())]
    Missing(PathBuf),
    /// It cannot be read.
    #[error("cannot read the profile {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is not a profile.
    #[error("{} is not a profile: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// There is no home folder.
    #[error("neither XDG_CONFIG_HOME nor HOME is set")]
    NoHome,
}

impl Profile {
    /// Finds the file of a profile: a path where it has a `/` or ends in `.toml`, otherwise a name
    /// in the configuration folder.
    ///
    /// # Errors
    ///
    /// [`ProfileError::NoHome`].
    pub fn find(name: Option<&str>) -> Result<PathBuf, ProfileError> {
        let name = name.unwrap_or(DEFAULT_NAME);
        if name.contains('/') || name.ends_with(".toml") {
            return Ok(PathBuf::from(name));
        }
        let folder = match std::env::var_os("XDG_CONFIG_HOME").filter(|path| !path.is_empty()) {
            Some(path) => PathBuf::from(path),
            None => {
                PathBuf::from(std::env::var_os("HOME").ok_or(ProfileError::NoHome)?).join(".config")
            }
        };
        Ok(folder.join("keyfold").join(format!("{name}.toml")))
    }

    /// Reads a profile; paths in it become relative to its folder.
    ///
    /// # Errors
    ///
    /// [`ProfileError`].
    pub fn load(path: &Path) -> Result<Self, ProfileError> {
        let file = std::fs::File::open(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ProfileError::Missing(path.to_owned()),
            _ => ProfileError::Io {
                path: path.to_owned(),
                source,
            },
        })?;
        let mut text = String::new();
        file.take(MAX_FILE)
            .read_to_string(&mut text)
            .map_err(|source| ProfileError::Io {
                path: path.to_owned(),
                source,
            })?;
        Self::parse(path, &text).map_err(|message| ProfileError::Malformed {
            path: path.to_owned(),
            message,
        })
    }

    fn parse(path: &Path, text: &str) -> Result<Self, String> {
        let file: ProfileFile = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let authority = file
            .gateway
            .strip_prefix("https://")
            .map(|rest| rest.strip_suffix('/').unwrap_or(rest))
            .and_then(|rest| rest.parse::<Authority>().ok())
            .filter(|authority| !authority.as_str().contains('@'))
            .ok_or("gateway is https://host, with a port where it is not 443")?;
        let gateway = match (&file.gateway_spki, &file.gateway_ca) {
            (Some(_), Some(_)) => return Err("gateway_ca or gateway_spki, not both".to_owned()),
            (Some(pin), None) => Gateway::Pinned(pin.parse().map_err(|error| format!("{error}"))?),
            (None, Some(roots)) => Gateway::Roots(folder.join(roots)),
            (None, None) => Gateway::SystemRoots,
        };
        let guard = match file.guard.as_deref() {
            None => Guard::Any,
            Some("none") => Guard::Without,
            Some(address) => Guard::Exactly(
                address
                    .parse()
                    .map_err(|_| "guard is an address or \"none\"".to_owned())?,
            ),
        };
        if !file.contracts.is_choice() {
            let known = ContextName::CHOICES.map(ContextName::as_str).join(", ");
            return Err(format!("contracts is one of {known}"));
        }
        match (file.kind, &file.root_certificate) {
            (Kind::AwsNitro, Some(_)) => {
                return Err("root_certificate is for development profiles alone".to_owned());
            }
            (Kind::Development, None) => {
                return Err("a development profile names its root_certificate".to_owned());
            }
            _ => {}
        }
        let state = match &file.state {
            Some(state) => folder.join(state),
            None => path.with_extension("state"),
        };
        Ok(Self {
            path: path.to_owned(),
            authority,
            gateway,
            guard,
            state,
            file,
        })
    }

    /// Returns the path of the development root's certificate, where the profile is of that kind.
    pub fn root_certificate(&self) -> Option<PathBuf> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        self.file
            .root_certificate
            .as_ref()
            .map(|path| folder.join(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        format!(
            r#"
            gateway = "https://gateway.example:7000"
            gateway_ca = "ca.pem"
            realm = "{}"
            kind = "aws-nitro"
            project = "app.example"
            chain = 31337
            [[measurements]]
            pcr0 = "{}"
            pcr1 = "{}"
            pcr2 = "{}"
            "#,
            "ab".repeat(32),
            "01".repeat(48),
            "02".repeat(48),
            "03".repeat(48),
        )
    }

    fn parse(text: &str) -> Result<Profile, String> {
        Profile::parse(Path::new("/etc/keyfold/work.toml"), text)
    }

    #[test]
    fn paths_stand_beside_the_profile() {
        let profile = parse(&text()).unwrap();
        assert_eq!(
            profile.gateway,
            Gateway::Roots("/etc/keyfold/ca.pem".into())
        );
        assert_eq!(profile.state, Path::new("/etc/keyfold/work.state"));
        assert_eq!(profile.authority.as_str(), "gateway.example:7000");
        assert_eq!(profile.file.measurements.len(), 1);
        assert_eq!(profile.guard, Guard::Any);
    }

    #[test]
    fn contracts_are_ours_unless_the_profile_says_otherwise() {
        assert_eq!(parse(&text()).unwrap().file.contracts, ContextName::Keyfold);
        for chosen in ContextName::CHOICES {
            let line = format!("contracts = \"{chosen}\"\nproject");
            let profile = parse(&text().replacen("project", &line, 1)).unwrap();
            assert_eq!(profile.file.contracts, chosen);
        }
    }

    #[test]
    fn what_is_misspelt_contradictory_or_unencrypted_is_refused() {
        for (defect, from, to) in [
            ("no TLS", "https://", "http://"),
            ("a user name", "https://", "https://me@"),
            ("a path", ":7000", ":7000/api"),
            ("misspelt", "gateway_ca", "gateway_cert"),
            ("a realm cut short", "realm = \"ab", "realm = \""),
            ("another kind", "aws-nitro", "aws"),
            (
                "both pin and roots",
                "gateway_ca",
                "gateway_spki = \"00\"\ngateway_ca",
            ),
            (
                "a root of its own",
                "project",
                "root_certificate = \"root.der\"\nproject",
            ),
            ("development without a root", "aws-nitro", "development"),
            (
                "a guard that is none",
                "project",
                "guard = \"0x12\"\nproject",
            ),
            (
                "contracts that nobody knows",
                "project",
                "contracts = \"sequence-rc6\"\nproject",
            ),
            (
                "contracts that no new wallet has",
                "project",
                "contracts = \"sequence-rc4\"\nproject",
            ),
            ("a measurement cut short", "pcr0 = \"01", "pcr0 = \""),
        ] {
            let changed = text().replacen(from, to, 1);
            assert_ne!(changed, text(), "{defect}");
            assert!(parse(&changed).is_err(), "{defect}");
        }
    }

    #[test]
    fn a_name_is_looked_up_and_a_path_is_taken_as_it_is() {
        assert_eq!(
            Profile::find(Some("./p.toml")).unwrap(),
            Path::new("./p.toml")
        );
        assert_eq!(Profile::find(Some("p.toml")).unwrap(), Path::new("p.toml"));
        let named = Profile::find(Some("work"));
        assert!(named.is_ok_and(|path| path.ends_with("keyfold/work.toml")));
    }

    #[test]
    fn a_profile_that_does_not_exist_is_named() {
        let error = Profile::load(Path::new("/nonexistent/p.toml")).unwrap_err();
        assert!(matches!(error, ProfileError::Missing(_)));
        assert!(error.to_string().contains("/nonexistent/p.toml"));
    }
}
