//! The ways to sign in.

use std::collections::BTreeMap;

use keyfold_identity::farcaster::FarcasterPolicy;
use keyfold_identity::oidc::client::Client;
use keyfold_identity::oidc::custom::{CustomIssuer, KeySource};
use keyfold_identity::oidc::discovery::ProviderMetadata;
use keyfold_identity::oidc::keys::{Algorithm, KeySet};
use keyfold_identity::oidc::provider::Provider;
use keyfold_identity::oidc::subject::EmailTrust;
use keyfold_identity::oidc::url::HttpsUrl;
use keyfold_identity::origin::Origin;
use keyfold_identity::passkey::{PasskeyOrigin, RelyingParty, UserVerification};
use keyfold_identity::siwe::EthereumPolicy;
use keyfold_identity::siws::{SolanaCluster, SolanaPolicy};
use keyfold_protocol::project::{
    ClientAuth, IssuerKeys, MAX_CHAINS, MAX_ISSUERS, MAX_PASSKEY_APPS, MAX_PROVIDERS,
    MAX_REDIRECT_URIS, ProviderKind, ProviderSettings, SignInSettings,
};

use super::{
    Endpoint, SettingsError, few_and_distinct, is_name, node, origins, origins_of, roots, wrong,
};

/// Longest name of a key at a provider, or of a team, bytes.
const MAX_KEY_NAME: usize = 64;

/// A provider of a project.
#[derive(Debug, Clone)]
pub(crate) struct ProviderConfig {
    pub(crate) source: ProviderSource,
    /// The registration, once for each redirect address.
    pub(crate) clients: Vec<Client>,
    /// PEM certificates that its servers' must lead to; the public roots where absent.
    pub(crate) roots_pem: Option<String>,
}

impl ProviderConfig {
    /// The registration with a redirect address, if it is one of the project's: to the letter.
    pub(crate) fn client(&self, redirect_uri: &str) -> Option<&Client> {
        let mut clients = self.clients.iter();
        clients.find(|client| client.redirect_uri() == redirect_uri)
    }
}

/// Where a provider's endpoints are known from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProviderSource {
    /// Built in.
    Known(Provider),
    /// Its issuer's discovery document.
    Discovery(HttpsUrl),
}

/// An app's own issuer.
#[derive(Debug, Clone)]
pub(crate) struct IssuerConfig {
    pub(crate) issuer: CustomIssuer,
    /// PEM certificates that its key server's must lead to; the public roots where absent.
    pub(crate) roots_pem: Option<String>,
}

/// Sign-In with Ethereum.
#[derive(Debug, Clone)]
pub(crate) struct EthereumConfig {
    pub(crate) policy: EthereumPolicy,
    /// Nodes that contracts' signatures are asked of, by chain.
    pub(crate) nodes: BTreeMap<u64, Endpoint>,
}

/// Sign In With Farcaster.
#[derive(Debug, Clone)]
pub(crate) struct FarcasterConfig {
    pub(crate) policy: FarcasterPolicy,
    /// A node of OP Mainnet.
    pub(crate) node: Endpoint,
}

/// Passkeys.
#[derive(Debug, Clone)]
pub(crate) struct PasskeyConfig {
    pub(crate) party: RelyingParty,
    pub(crate) verification: UserVerification,
}

/// Checks all methods.
pub(crate) fn check(settings: &SignInSettings) -> Result<(), SettingsError> {
    origins(settings)?;
    let names = |member: &str, count: usize, most: usize, good: bool| {
        if count > most {
            Err(wrong(member, format!("at most {most} are taken")))
        } else if !good {
            Err(wrong(member, "a name is 1 to 32 of a-z, 0-9 and -"))
        } else {
            Ok(())
        }
    };
    let providers = &settings.providers;
    let named = providers.keys().all(|name| is_name(name));
    names("providers", providers.len(), MAX_PROVIDERS, named)?;
    for name in providers.keys() {
        provider(settings, name)?;
    }
    let issuers = &settings.issuers;
    let named = issuers.keys().all(|name| is_name(name));
    names("issuers", issuers.len(), MAX_ISSUERS, named)?;
    for name in issuers.keys() {
        issuer(settings, name)?;
    }
    ethereum(settings)?;
    solana(settings)?;
    farcaster(settings)?;
    passkeys(settings)?;
    Ok(())
}

/// A provider by the name that requests use; `None` where the project has none of that name.
pub(crate) fn provider(
    settings: &SignInSettings,
    name: &str,
) -> Result<Option<ProviderConfig>, SettingsError> {
    let Some(stated) = settings.providers.get(name) else {
        return Ok(None);
    };
    let member = |field: &str| format!("providers.{name}.{field}");
    let source = match &stated.kind {
        ProviderKind::Google {} => ProviderSource::Known(Provider::google()),
        ProviderKind::Apple {} => ProviderSource::Known(Provider::apple()),
        ProviderKind::X {} => ProviderSource::Known(Provider::x()),
        ProviderKind::Discord {} => ProviderSource::Known(Provider::discord()),
        ProviderKind::OpenId { issuer } => {
            let issuer =
                HttpsUrl::parse(issuer).map_err(|error| wrong(member("kind.issuer"), error))?;
            // Whatever else it is, there must be room for the path of its document.
            ProviderMetadata::location(&issuer)
                .map_err(|error| wrong(member("kind.issuer"), error))?;
            ProviderSource::Discovery(issuer)
        }
    };
    client_auth(stated).map_err(|why| wrong(member("client_auth"), why))?;
    let redirects = member("redirect_uris");
    few_and_distinct(
        &redirects,
        &stated.redirect_uris,
        1,
        MAX_REDIRECT_URIS,
        String::clone,
    )?;
    let clients = stated.redirect_uris.iter();
    let clients = clients.map(|uri| Client::new(&stated.client_id, uri));
    let clients: Result<_, _> = clients.collect();
    Ok(Some(ProviderConfig {
        source,
        clients: clients.map_err(|error| wrong(format!("providers.{name}"), error))?,
        roots_pem: roots(&format!("providers.{name}"), stated.roots_pem.as_ref())?,
    }))
}

fn client_auth(stated: &ProviderSettings) -> Result<(), &'static str> {
    let named = |text: &str| {
        (1..=MAX_KEY_NAME).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
    };
    match &stated.client_auth {
        ClientAuth::Public | ClientAuth::SecretBasic {} | ClientAuth::SecretPost {} => Ok(()),
        ClientAuth::PrivateKeyJwt { kid } if named(kid) => Ok(()),
        ClientAuth::Apple { .. } if !matches!(stated.kind, ProviderKind::Apple {}) => {
            Err("this is how Apple is shown who asks, and nobody else")
        }
        ClientAuth::Apple { team_id, key_id } if named(team_id) && named(key_id) => Ok(()),
        _ => Err("a key's or team's name is 1 to 64 visible ASCII characters"),
    }
}

/// An issuer by the name that requests use; `None` where the project has none of that name.
pub(crate) fn issuer(
    settings: &SignInSettings,
    name: &str,
) -> Result<Option<IssuerConfig>, SettingsError> {
    let Some(stated) = settings.issuers.get(name) else {
        return Ok(None);
    };
    let member = format!("issuers.{name}");
    let (keys, roots_pem) = match &stated.keys {
        IssuerKeys::Jwks { url, roots_pem } => {
            let url =
                HttpsUrl::parse(url).map_err(|error| wrong(format!("{member}.keys.url"), error))?;
            let roots = roots(&format!("{member}.keys"), roots_pem.as_ref())?;
            (KeySource::Jwks(url), roots)
        }
        IssuerKeys::Pem { pem } => {
            let keys = KeySet::from_pem(pem);
            let keys = keys.map_err(|error| wrong(format!("{member}.keys.pem"), error))?;
            (KeySource::Fixed(keys), None)
        }
    };
    let algorithms = algorithms(&format!("{member}.algorithms"), &stated.algorithms)?;
    let issuer = CustomIssuer::new(
        &stated.issuer,
        &stated.audience,
        keys,
        &algorithms,
        stated.max_token_age_seconds,
        // Nothing is linked because an address looks equal, so nobody's word on one is needed.
        EmailTrust::Never,
    )
    .map_err(|error| wrong(member, error))?;
    Ok(Some(IssuerConfig { issuer, roots_pem }))
}

fn algorithms(member: &str, names: &[String]) -> Result<Vec<Algorithm>, SettingsError> {
    few_and_distinct(member, names, 1, Algorithm::ALL.len(), String::clone)?;
    let known: Option<_> = names
        .iter()
        .map(|name| Algorithm::from_name(name))
        .collect();
    known.ok_or_else(|| wrong(member, "of RS256, ES256 and EdDSA"))
}

/// Sign-In with Ethereum.
pub(crate) fn ethereum(settings: &SignInSettings) -> Result<Option<EthereumConfig>, SettingsError> {
    let Some(stated) = &settings.ethereum else {
        return Ok(None);
    };
    few_and_distinct("ethereum.chains", &stated.chains, 1, MAX_CHAINS, |id| *id)?;
    let mut nodes = BTreeMap::new();
    for (chain, at) in &stated.nodes {
        let member = format!("ethereum.nodes.{chain}");
        if !stated.chains.contains(chain) {
            return Err(wrong(member, "this chain is not one of `ethereum.chains`"));
        }
        nodes.insert(*chain, node(&member, at)?);
    }
    let policy = EthereumPolicy {
        origins: some_origins("ethereum", settings)?,
        chains: stated.chains.clone(),
        contracts: !nodes.is_empty(),
    };
    Ok(Some(EthereumConfig { policy, nodes }))
}

/// Sign-In With Solana.
pub(crate) fn solana(settings: &SignInSettings) -> Result<Option<SolanaPolicy>, SettingsError> {
    let Some(stated) = &settings.solana else {
        return Ok(None);
    };
    let cluster = match stated.cluster.as_deref() {
        None => None,
        Some("mainnet") => Some(SolanaCluster::Mainnet),
        Some("testnet") => Some(SolanaCluster::Testnet),
        Some("devnet") => Some(SolanaCluster::Devnet),
        Some(_) => return Err(wrong("solana.cluster", "one of mainnet, testnet, devnet")),
    };
    Ok(Some(SolanaPolicy {
        origins: some_origins("solana", settings)?,
        cluster,
    }))
}

/// Sign In With Farcaster.
pub(crate) fn farcaster(
    settings: &SignInSettings,
) -> Result<Option<FarcasterConfig>, SettingsError> {
    let Some(stated) = &settings.farcaster else {
        return Ok(None);
    };
    Ok(Some(FarcasterConfig {
        policy: FarcasterPolicy {
            origins: some_origins("farcaster", settings)?,
            auth_addresses: stated.auth_addresses,
            // The node that answers for the registries answers for contracts too.
            contracts: true,
        },
        node: node("farcaster.node", &stated.node)?,
    }))
}

/// Passkeys.
pub(crate) fn passkeys(settings: &SignInSettings) -> Result<Option<PasskeyConfig>, SettingsError> {
    let Some(stated) = &settings.passkeys else {
        return Ok(None);
    };
    let pages = origins(settings)?.into_iter().map(PasskeyOrigin::Web);
    let apps = "passkeys.apps";
    few_and_distinct(apps, &stated.apps, 0, MAX_PASSKEY_APPS, String::clone)?;
    let android = stated.apps.iter().map(|text| PasskeyOrigin::parse(text));
    let android = android
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|all| all.iter().all(|o| matches!(o, PasskeyOrigin::Android(_))))
        .ok_or_else(|| {
            wrong(
                apps,
                "an app is android:apk-key-hash: and 32 bytes in base64url",
            )
        })?;
    let all: Vec<_> = pages.chain(android).collect();
    if all.is_empty() {
        return Err(wrong(
            "passkeys",
            "no `origins` and no `apps` to use them in",
        ));
    }
    let top = origins_of(
        "passkeys.top_origins",
        &stated.top_origins,
        MAX_PASSKEY_APPS,
    )?;
    let party = RelyingParty::new(&stated.relying_party, all, top)
        .map_err(|error| wrong("passkeys.relying_party", error))?;
    let verification = if stated.user_verification {
        UserVerification::Required
    } else {
        UserVerification::Preferred
    };
    Ok(Some(PasskeyConfig {
        party,
        verification,
    }))
}

/// The pages that a signed message may be for: without any, none would be accepted.
fn some_origins(member: &str, settings: &SignInSettings) -> Result<Vec<Origin>, SettingsError> {
    let origins = origins(settings)?;
    if origins.is_empty() {
        return Err(wrong(
            member,
            "messages are for a page: name it in `origins`",
        ));
    }
    Ok(origins)
}
