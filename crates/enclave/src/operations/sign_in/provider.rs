//! Providers of identities: OAuth 2.0 with PKCE, OpenID Connect, and the app's own issuers.

use std::sync::Arc;

use keyfold_identity::oidc::authorization::{PendingAuthorization, ProveError, ProvenIdentity};
use keyfold_identity::oidc::binding::NonceSalt;
use keyfold_identity::oidc::commitment::{COMMITMENT_SECONDS, TokenCommitment};
use keyfold_identity::oidc::custom::KeySource;
use keyfold_identity::oidc::id_token::IdTokenError;
use keyfold_identity::oidc::jws::JwsError;
use keyfold_identity::oidc::keys::KeySet;
use keyfold_identity::oidc::provider::Provider;
use keyfold_identity::oidc::subject::EmailTrust;
use keyfold_identity::oidc::waiting::{AuthorizationId, WaitError};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::{Item, ShownIdToken};
use keyfold_protocol::ids::Digest32;
use keyfold_protocol::sign_in::{Next, SignInStarted};

use super::{Asker, Keep, Level, Proven, attempts, unusable};
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::Project;
use crate::settings::methods::{self, IssuerConfig, ProviderSource};
use crate::settings::secrets;
use crate::waiting::Step;
use crate::web::{self, WebError};

/// Begins a code flow: state, nonce and verifier are drawn here and stay here.
pub(super) async fn start<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    project: &Project,
    name: &str,
    redirect_uri: &str,
) -> Result<SignInStarted, Problem> {
    let chosen = methods::provider(&project.sign_in, name)
        .map_err(unusable)?
        .ok_or(Code::MethodOff)?;
    let client = chosen.client(redirect_uri).cloned().ok_or_else(|| {
        Problem::new(
            Code::MethodOff,
            "that redirect address is not among the project's",
        )
    })?;
    let provider = match chosen.source {
        ProviderSource::Known(provider) => provider,
        ProviderSource::Discovery(issuer) => {
            let roots = chosen.roots_pem.map(Arc::from);
            let platform = realm.core.platform();
            let found = realm.providers.metadata(platform, &issuer, roots.as_ref());
            let metadata = found.await.map_err(failed)?;
            Provider::discovered((*metadata).clone(), EmailTrust::Never)
        }
    };
    let (now, mut rng) = (realm.now(), realm.core.rng()?);
    let (pending, url) = PendingAuthorization::begin(
        Arc::new(provider),
        client,
        Default::default(),
        asker.project.as_str(),
        asker.device,
        now,
        &mut rng,
    );
    let ends = pending.expires_at_unix_seconds();
    let salt = pending.nonce_salt().map(|salt| *salt.as_bytes());
    let id = realm
        .waiting
        .authorizations()
        .keep(pending, now, &mut rng)
        .map_err(|error| match error {
            WaitError::DeviceLimit | WaitError::Full => Code::RateLimited,
        })?;
    let step = Step::Provider {
        name: name.to_owned(),
        id,
    };
    let sign_in = realm
        .waiting
        .begin(asker.project, asker.device, step, now, ends, &mut rng)?;
    Ok(SignInStarted {
        sign_in,
        expires: ends,
        next: Next::Redirect { url, salt },
    })
}

/// Redeems the code that a provider sent the person back with, and reads whose it is.
pub(super) async fn finish<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    project: &Project,
    (name, id): (String, AuthorizationId),
    callback: &str,
) -> Result<Proven, Problem> {
    let chosen = methods::provider(&project.sign_in, &name)
        .map_err(unusable)?
        .ok_or(Code::MethodOff)?;
    let grant = realm
        .waiting
        .authorizations()
        .accept(
            &id,
            asker.project.as_str(),
            &asker.device,
            callback,
            realm.now(),
        )
        .map_err(refused)?;
    let credentials = secrets::credentials(project, &name).map_err(unusable)?;
    let request = grant.token_request(&credentials, realm.now(), &mut realm.core.rng()?);
    drop(credentials);
    let platform = realm.core.platform();
    let roots = chosen.roots_pem.map(Arc::from);
    let roots = roots.as_ref();
    let tokens = web::redeem(platform, request, roots)
        .await
        .map_err(failed)?;
    let Some(jwks_uri) = grant.provider().jwks_uri() else {
        let request = grant.user_info_request(&tokens).map_err(refused)?;
        let document = web::user_info(platform, request, roots)
            .await
            .map_err(failed)?;
        let proven = grant
            .prove_by_user_info(&document, realm.now())
            .map_err(refused)?;
        return Ok(of_subject(realm, asker, &name, &proven));
    };
    let keys = realm.providers.keys(platform, jwks_uri, roots);
    let keys = keys.await.map_err(failed)?;
    let mut proven = grant.prove_by_id_token(&tokens, &keys, realm.now());
    if let Err(ProveError::IdToken(IdTokenError::Signature(JwsError::UnknownKey))) = &proven {
        let fresh = realm.providers.fresh_keys(platform, jwks_uri, roots, &keys);
        let fresh = fresh.await.map_err(failed)?;
        proven = grant.prove_by_id_token(&tokens, &fresh, realm.now());
    }
    let proven = proven.map_err(refused)?;
    let mut of_subject = of_subject(realm, asker, &name, &proven);
    if let Some(token) = tokens.id_token() {
        let item = vouching(&of_subject, &proven, token);
        of_subject.evidence.extend(item);
    }
    Ok(of_subject)
}

/// What holders are shown of a token, where its nonce is the device's.
fn vouching(of_subject: &Proven, proven: &ProvenIdentity, token: &str) -> Option<Item> {
    Some(Item::IdToken(ShownIdToken {
        identity: of_subject.hash,
        token: token.to_owned().into(),
        issuer: proven.subject().issuer().to_owned(),
        client_id: proven.subject().audience().to_owned(),
        salt: *proven.nonce_salt()?.as_bytes(),
    }))
}

/// Remembers that a device commits to a token, before anybody has seen it.
pub(super) fn start_token<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    project: &Project,
    (issuer, salt): (&str, Option<NonceSalt>),
    commitment: &Digest32,
) -> Result<SignInStarted, Problem> {
    methods::issuer(&project.sign_in, issuer)
        .map_err(unusable)?
        .ok_or(Code::MethodOff)?;
    let now = realm.now();
    let commitment = TokenCommitment::from_bytes(*commitment.as_bytes());
    realm
        .waiting
        .commitments()
        .commit(asker.project.as_str(), &asker.device, commitment, now)
        .map_err(|error| {
            tracing::info!(%error, "a commitment was refused");
            Problem::from(Code::RateLimited)
        })?;
    let ends = now.saturating_add(COMMITMENT_SECONDS);
    let step = Step::Token {
        issuer: issuer.to_owned(),
        salt,
    };
    let sign_in = realm.waiting.begin(
        asker.project,
        asker.device,
        step,
        now,
        ends,
        &mut realm.core.rng()?,
    )?;
    Ok(SignInStarted {
        sign_in,
        expires: ends,
        next: Next::Token {},
    })
}

/// Checks the token that the device committed to. One whose nonce the device says is its own has to
/// have that nonce, and is shown to the holders.
pub(super) async fn finish_token<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    project: &Project,
    (name, salt): (String, Option<NonceSalt>),
    token: &str,
) -> Result<Proven, Problem> {
    let IssuerConfig { issuer, roots_pem } = methods::issuer(&project.sign_in, &name)
        .map_err(unusable)?
        .ok_or(Code::MethodOff)?;
    let roots = roots_pem.map(Arc::from);
    let shown = realm
        .waiting
        .commitments()
        .show(asker.project.as_str(), &asker.device, token, realm.now())
        .map_err(refused)?;
    let platform = realm.core.platform();
    let keys: Arc<KeySet> = match issuer.keys() {
        KeySource::Fixed(keys) => Arc::new(keys.clone()),
        KeySource::Jwks(url) => realm
            .providers
            .keys(platform, url, roots.as_ref())
            .await
            .map_err(failed)?,
    };
    let verify = |keys: &KeySet| match &salt {
        None => issuer.verify_committed(&shown, keys, realm.now()),
        Some(salt) => {
            let (project, device) = (asker.project.as_str(), &asker.device);
            issuer.verify_bound(token, keys, project, device, salt, realm.now())
        }
    };
    let mut proven = verify(&keys);
    if let (Err(IdTokenError::Signature(JwsError::UnknownKey)), KeySource::Jwks(url)) =
        (&proven, issuer.keys())
    {
        let fresh = realm
            .providers
            .fresh_keys(platform, url, roots.as_ref(), &keys)
            .await
            .map_err(failed)?;
        proven = verify(&fresh);
    }
    let proven = proven.map_err(refused)?;
    attempts::use_up_token(realm, asker.project, token).await?;
    let mut of_subject = of_subject(realm, asker, &name, &proven);
    let item = vouching(&of_subject, &proven, token);
    of_subject.evidence.extend(item);
    Ok(Proven {
        acr: "token",
        ..of_subject
    })
}

/// An identity is issuer and subject: never an address, which says who reads a mailbox today.
fn of_subject<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    name: &str,
    proven: &ProvenIdentity,
) -> Proven {
    let subject = proven.subject();
    let mut encoder = keyfold_crypto::Encoder::new("keyfold/identity/subject/v1");
    encoder.str(subject.issuer()).str(subject.subject());
    let label = subject.email().map(|email| email.address.as_str());
    Proven {
        method: format!("provider:{name}"),
        hash: realm
            .keys
            .identity(asker.project, "subject", &encoder.finish()),
        label: label.unwrap_or(subject.subject()).to_owned(),
        amr: &["fed"],
        acr: "provider",
        level: Level::Code,
        keep: Keep::default(),
        is_new: false,
        evidence: Vec::new(),
    }
}

/// What a provider did is for the log; a person can only try again.
fn failed(error: WebError) -> Problem {
    tracing::warn!(%error, "an identity provider");
    Code::ProviderFailed.into()
}

fn refused(error: impl core::fmt::Display) -> Problem {
    tracing::info!(%error, "a provider's proof was refused");
    Code::SignInRefused.into()
}
