//! From a profile to a client.

use std::sync::Arc;

use keyfold_attest::{MeasurementPolicy, TrustRoot};
use keyfold_client::{Client, GuardRule, RealmPin, WalletRules};
use keyfold_crypto::jwk::DeviceSigningKey;
use keyfold_net::tls::TlsError;

use crate::code::CliCode;
use crate::error::{CliError, chain_of};
use crate::profile::{Gateway, Guard, Kind, Profile, ProfileError};
use crate::roots::Roots;
use crate::state::{StateDir, StateError};
use crate::transport::{HttpsTransport, SystemEnvironment};

/// Where systems keep the roots of public certificates.
const SYSTEM_ROOTS: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// The client of the command line.
pub type CliClient = Client<HttpsTransport, Arc<DeviceSigningKey>, SystemEnvironment>;

/// Makes the client of a profile. Nothing is sent yet.
///
/// # Errors
///
/// [`CliError`], with the code `development_profile` if the profile is a development realm's and
/// the program has no way to development roots.
pub fn connect(profile: &Profile, roots: &Roots) -> Result<CliClient, CliError> {
    let key = StateDir::new(&profile.state).device_key()?;
    connect_as(profile, roots, key)
}

/// As [`connect`], with another key than the device's.
pub(crate) fn connect_as(
    profile: &Profile,
    roots: &Roots,
    key: DeviceSigningKey,
) -> Result<CliClient, CliError> {
    let pin = RealmPin {
        realm: profile.file.realm,
        root: root(profile, roots)?,
        policy: MeasurementPolicy::new(profile.file.measurements.clone()),
    };
    let state = StateDir::new(&profile.state);
    let guard = match profile.guard {
        Guard::Any => GuardRule::Any,
        Guard::Without => GuardRule::Without,
        Guard::Exactly(address) => GuardRule::Exactly(address),
    };
    Ok(
        Client::new(pin, transport(profile)?, Arc::new(key), SystemEnvironment)
            .with_wallet_rules(WalletRules {
                guard,
                checkpointer: profile.file.checkpointer,
                contracts: profile.file.contracts,
            })
            .with_known_wallets(state.known_wallets()?),
    )
}

fn root(profile: &Profile, roots: &Roots) -> Result<TrustRoot, CliError> {
    let path = match profile.file.kind {
        Kind::AwsNitro => return Ok(TrustRoot::aws_nitro()),
        Kind::Development => profile.root_certificate(),
    };
    let (Some(loader), Some(path)) = (roots.development(), path) else {
        return Err(CliError::new(
            CliCode::DevelopmentProfile,
            "this program trusts AWS's root of attestation documents and no other",
            "Use keyfold-dev with this profile, or a profile of a real realm.",
        ));
    };
    loader.load(&path).map_err(|reason| {
        CliError::usage(
            format!("{} is no root certificate: {reason}", path.display()),
            "Check root_certificate in the profile.",
        )
    })
}

fn transport(profile: &Profile) -> Result<HttpsTransport, CliError> {
    let authority = profile.authority.clone();
    let read = |path: &std::path::Path| {
        std::fs::read(path).map_err(|error| {
            CliError::usage(
                format!("cannot read {}: {error}", path.display()),
                "Check gateway_ca in the profile.",
            )
        })
    };
    match &profile.gateway {
        Gateway::Pinned(pin) => HttpsTransport::pinned(authority, *pin),
        Gateway::Roots(path) => HttpsTransport::with_roots(authority, &read(path)?),
        Gateway::SystemRoots => {
            let path = SYSTEM_ROOTS
                .map(std::path::Path::new)
                .into_iter()
                .find(|p| p.is_file());
            let path = path.ok_or_else(|| {
                CliError::usage(
                    "the system has no list of root certificates",
                    "Install the package ca-certificates, or set gateway_ca in the profile.",
                )
            })?;
            HttpsTransport::with_roots(authority, &read(path)?)
        }
    }
    .map_err(|error: TlsError| {
        CliError::usage(
            chain_of(&error),
            "Check gateway_ca or gateway_spki in the profile.",
        )
    })
}

impl From<ProfileError> for CliError {
    fn from(error: ProfileError) -> Self {
        let (code, what_to_do) = match &error {
            ProfileError::Missing(_) => (
                CliCode::NoProfile,
                "Write one (keyfold profile --help shows how), or name one with --profile.",
            ),
            ProfileError::NoHome => (CliCode::NoProfile, "Name a profile's file with --profile."),
            ProfileError::Malformed { .. } => (
                CliCode::BadProfile,
                "Correct it; keyfold profile --help shows an example.",
            ),
            ProfileError::Io { .. } => (CliCode::NoProfile, "Check the file's permissions."),
        };
        Self::new(code, chain_of(&error), what_to_do)
    }
}

impl From<StateError> for CliError {
    fn from(error: StateError) -> Self {
        let what_to_do = match &error {
            StateError::Io { .. } => {
                "Check the folder's permissions, and whether its disk is full."
            }
            StateError::NotPrivate(_) => {
                "Ask who may have read it. Then chmod 600, or remove it and sign in as a new device."
            }
            StateError::Full(_) => "Use a profile with another state folder for further accounts.",
            StateError::Damaged(_) => "Restore it, or remove it and sign in again.",
        };
        Self::new(CliCode::BadState, chain_of(&error), what_to_do)
    }
}
