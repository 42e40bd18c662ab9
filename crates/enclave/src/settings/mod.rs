//! A project's settings, turned into the types that verify with them.
//!
//! Each function reads one part and returns what a sign-in works with, or what is wrong with it and
//! where. [`check`] reads all parts: nothing that one of them refuses is ever stored, so whoever
//! reads a stored project's settings again is refused only where a release has become stricter.

pub(crate) mod methods;
pub(crate) mod secrets;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use keyfold_identity::EmailAddress;
use keyfold_identity::mail::{CodeTexts, DisplayName};
use keyfold_identity::oidc::url::HttpsUrl;
use keyfold_identity::origin::Origin;
use keyfold_identity::password::Cost;
use keyfold_protocol::client_api::MailSettings;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::project::{
    ATTESTATION_SECONDS, DEVICES, ID_TOKEN_SECONDS, IDLE_SECONDS, IdTokenSettings, MAX_ENDED,
    MAX_NAME_LEN, MAX_ORIGINS, MAX_ROOTS_LEN, MAX_SERVERS, NodeSettings, ProjectSettings,
    SESSION_SECONDS, SESSIONS, SignInSettings, StepUp, WALLETS,
};
use keyfold_protocol::session::Issuer;

pub(crate) use self::secrets::SecretName;
use crate::problem::Problem;

/// Longest host's name, bytes.
const MAX_HOST: usize = 253;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{member}: {why}")]
pub(crate) struct SettingsError {
    member: String,
    why: String,
}

impl From<SettingsError> for Problem {
    fn from(error: SettingsError) -> Self {
        Problem::new(Code::ProjectInvalid, error.to_string())
    }
}

/// Says what is wrong with a member.
pub(crate) fn wrong(member: impl Into<String>, why: impl ToString) -> SettingsError {
    SettingsError {
        member: member.into(),
        why: why.to_string(),
    }
}

/// A server that is called over `https`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) url: HttpsUrl,
    /// PEM certificates that its server's must lead to; the public roots where absent.
    pub(crate) roots_pem: Option<String>,
}

/// Checks all parts.
pub(crate) fn check(settings: &SignInSettings) -> Result<(), SettingsError> {
    methods::check(settings)?;
    password(settings)?;
    mail_texts(settings)?;
    webhook(settings)?;
    within(
        "session_seconds",
        &SESSION_SECONDS,
        &settings.session_seconds,
    )?;
    within(
        "attestation_seconds",
        &ATTESTATION_SECONDS,
        &settings.attestation_seconds,
    )?;
    within("idle_seconds", &IDLE_SECONDS, &settings.idle_seconds)?;
    let ended = settings.ended.accounts.len();
    within("ended.accounts", &(0..=MAX_ENDED), &ended)?;
    let limits = &settings.limits;
    within("limits.devices", &DEVICES, &limits.devices)?;
    within("limits.sessions", &SESSIONS, &limits.sessions)?;
    within("limits.wallets", &WALLETS, &limits.wallets)?;
    few_and_distinct("servers", &settings.servers, 0, MAX_SERVERS, |key| {
        key.thumbprint().to_string()
    })?;
    for key in &settings.servers {
        key.validate().map_err(|error| wrong("servers", error))?;
    }
    settings.id_tokens.as_ref().map_or(Ok(()), id_tokens)?;
    step_up(settings)
}

/// The pages of the app.
pub(crate) fn origins(settings: &SignInSettings) -> Result<Vec<Origin>, SettingsError> {
    origins_of("origins", &settings.origins, MAX_ORIGINS)
}

/// What a password's hash costs; `None` where the project has no passwords.
pub(crate) fn password(settings: &SignInSettings) -> Result<Option<Cost>, SettingsError> {
    settings
        .password
        .map(|cost| Cost::new(cost.memory_kib, cost.passes, cost.lanes))
        .transpose()
        .map_err(|error| wrong("password", error))
}

/// What the mail with a code says.
pub(crate) fn mail_texts(settings: &SignInSettings) -> Result<CodeTexts, SettingsError> {
    let texts = &settings.mail_texts;
    CodeTexts::parse(texts.subject.as_deref(), texts.intro.as_deref())
        .map_err(|error| wrong("mail_texts", error))
}

/// Where the app's server is told of what happens.
pub(crate) fn webhook(settings: &SignInSettings) -> Result<Option<Endpoint>, SettingsError> {
    let webhook = settings.webhook.as_ref();
    webhook
        .map(|webhook| endpoint("webhook", &webhook.url, webhook.roots_pem.as_ref()))
        .transpose()
}

/// Checks all that administrators may set.
pub(crate) fn check_project(settings: &ProjectSettings) -> Result<(), SettingsError> {
    DisplayName::parse(&settings.display_name).map_err(|error| wrong("display_name", error))?;
    mail_server(&settings.mail)?;
    check(&settings.sign_in).map_err(|error| wrong(format!("sign_in.{}", error.member), error.why))
}

fn mail_server(mail: &MailSettings) -> Result<(), SettingsError> {
    EmailAddress::parse(&mail.from).map_err(|error| wrong("mail.from", error))?;
    if !is_public_host(&mail.host) || mail.port == 0 {
        return Err(wrong("mail.host", "not a public host's name with a port"));
    }
    let named = |name: &String| name.len() <= MAX_HOST && !name.chars().any(char::is_control);
    if !mail.username.as_ref().is_none_or(named) {
        return Err(wrong(
            "mail.username",
            "too long, or with control characters",
        ));
    }
    if let Some(password) = &mail.password {
        if mail.username.is_none() {
            return Err(wrong("mail.password", "without a user name"));
        }
        SecretName::Mail.check(password)?;
    }
    roots("mail", mail.roots_pem.as_ref())?;
    Ok(())
}

/// Whether a text is a host's name as URLs that are fetched have it: no address, no `localhost`, no
/// name without a dot. Which of them are called is for the operator's list to say.
fn is_public_host(text: &str) -> bool {
    let url = || HttpsUrl::parse(&format!("https://{text}/"));
    is_host(text) && url().is_ok_and(|url| url.host() == text)
}

/// Whether a text can be a host's name or address, as guards are named by.
pub(crate) fn is_host(text: &str) -> bool {
    (1..=MAX_HOST).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
}

/// Nobody fetches from it, so it may be of this machine.
fn id_tokens(settings: &IdTokenSettings) -> Result<(), SettingsError> {
    let issuer = settings.issuer.parse::<Issuer>();
    issuer.map_err(|error| wrong("id_tokens.issuer", error))?;
    within("id_tokens.seconds", &ID_TOKEN_SECONDS, &settings.seconds)
}

/// A rule that nobody can meet would lock everybody out.
fn step_up(settings: &SignInSettings) -> Result<(), SettingsError> {
    let rules = &settings.step_up;
    for (member, rule) in [
        ("export", rules.export),
        ("recovery", rules.recovery),
        ("new_device", rules.new_device),
        ("guard_review", rules.guard_review),
        ("signing", rules.signing),
        ("end_sessions", rules.end_sessions),
    ] {
        if rule == Some(StepUp::Passkey) && settings.passkeys.is_none() {
            let why = "asks for a passkey, and the project has no `passkeys`";
            return Err(wrong(format!("step_up.{member}"), why));
        }
    }
    Ok(())
}

pub(super) fn endpoint(
    member: &str,
    url: &str,
    roots_pem: Option<&String>,
) -> Result<Endpoint, SettingsError> {
    Ok(Endpoint {
        url: HttpsUrl::parse(url).map_err(|error| wrong(format!("{member}.url"), error))?,
        roots_pem: roots(member, roots_pem)?,
    })
}

pub(super) fn node(member: &str, settings: &NodeSettings) -> Result<Endpoint, SettingsError> {
    endpoint(member, &settings.url, settings.roots_pem.as_ref())
}

/// Roots, as far as they are seen here: the machine reads the certificates.
pub(crate) fn roots(member: &str, pem: Option<&String>) -> Result<Option<String>, SettingsError> {
    let good = pem.is_none_or(|pem| {
        pem.len() <= MAX_ROOTS_LEN && pem.is_ascii() && pem.contains("-----BEGIN CERTIFICATE-----")
    });
    if good {
        Ok(pem.cloned())
    } else {
        let why = "not certificates in PEM, or more than 32 KiB";
        Err(wrong(format!("{member}.roots_pem"), why))
    }
}

pub(super) fn origins_of(
    member: &str,
    texts: &[String],
    most: usize,
) -> Result<Vec<Origin>, SettingsError> {
    few_and_distinct(member, texts, 0, most, String::clone)?;
    let parsed = texts.iter().map(|text| Origin::parse(text));
    let parsed: Result<_, _> = parsed.collect();
    parsed.map_err(|error| wrong(member, error))
}

/// A name of a provider or issuer: `[a-z0-9-]{1,32}`. What it is not is not repeated.
pub(super) fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_LEN).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

pub(super) fn few_and_distinct<T, K: Ord>(
    member: &str,
    list: &[T],
    least: usize,
    most: usize,
    key: impl Fn(&T) -> K,
) -> Result<(), SettingsError> {
    if !(least..=most).contains(&list.len()) {
        return Err(wrong(member, format!("{least} to {most} are taken")));
    }
    let distinct: BTreeSet<K> = list.iter().map(key).collect();
    if distinct.len() == list.len() {
        Ok(())
    } else {
        Err(wrong(member, "one is there twice"))
    }
}

fn within<T: PartialOrd + core::fmt::Display>(
    member: &str,
    range: &core::ops::RangeInclusive<T>,
    value: &T,
) -> Result<(), SettingsError> {
    if range.contains(value) {
        return Ok(());
    }
    let why = format!("{} to {} are taken", range.start(), range.end());
    Err(wrong(member, why))
}
