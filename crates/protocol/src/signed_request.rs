//! HTTP Message Signatures (RFC 9421) in the three profiles of this system.
//!
//! One signature labelled `keyfold`, over a fixed list of components in a fixed order. The
//! signature base is built over the *received* text of `signature-input`, which must be the
//! canonical serialisation of what was parsed, so signer and verifier read one text.
//!
//! | Profile | Who signs | Components |
//! |---|---|---|
//! | [`Profile::Request`] | a device, in a session | method, authority, path, query, content-digest, realm, project, intent, session |
//! | [`Profile::SignIn`] | a device, before a session | the same without session |
//! | [`Profile::Instance`] | an enclave instance, to a holder or guard | method, authority, path, query, content-digest |

use core::fmt::Write as _;

use base64ct::{Base64, Encoding};
use keyfold_crypto::hash::sha256;
use keyfold_crypto::jwk::{PublicJwk, Thumbprint};
use serde::{Deserialize, Serialize};
use sfv::{BareItem, Dictionary, FieldType, InnerList, ListEntry, Parser};

use crate::ids::{Digest32, ProjectId, RealmId};
use crate::intent::{Intent, IntentError};

/// Longest life of a signature, seconds.
pub const MAX_LIFETIME_SECONDS: u64 = 60;
/// How far `created` may lie in the future, seconds.
pub const MAX_SKEW_SECONDS: u64 = 30;
/// Longest accepted value of any signed component, bytes.
pub const MAX_COMPONENT_LEN: usize = 2048;
/// Longest accepted nonce, bytes; the shortest is 16.
pub const MAX_NONCE_LEN: usize = 64;

const LABEL: &str = "keyfold";

/// Which fixed list of components a signature covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// A device's request within a session.
    Request,
    /// A device's request before there is a session.
    SignIn,
    /// An enclave instance's request to a holder or a guard.
    Instance,
}

impl Profile {
    /// Returns the `tag` parameter of the profile.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Request => "keyfold",
            Self::SignIn => "keyfold-sign-in",
            Self::Instance => "keyfold-instance",
        }
    }

    const fn components(self) -> &'static [&'static str] {
        match self {
            Self::Request => &[
                "@method",
                "@authority",
                "@path",
                "@query",
                "content-digest",
                "keyfold-realm",
                "keyfold-project",
                "keyfold-intent",
                "keyfold-session",
            ],
            Self::SignIn => &[
                "@method",
                "@authority",
                "@path",
                "@query",
                "content-digest",
                "keyfold-realm",
                "keyfold-project",
                "keyfold-intent",
            ],
            Self::Instance => &["@method", "@authority", "@path", "@query", "content-digest"],
        }
    }
}

/// Says why a signed request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A component or parameter is absent, malformed, too long, or not canonical.
    #[error("the signature's input is malformed")]
    Malformed,
    /// The tag is not the one this endpoint takes.
    #[error("the signature is tagged for another purpose")]
    WrongTag,
    /// The components are not the profile's.
    #[error("the signature does not cover exactly the required components")]
    WrongComponents,
    /// `keyid` is not the thumbprint of the key given.
    #[error("the signature names another key")]
    WrongKey,
    /// `expires` is past, `created` in the future, or the life longer than allowed.
    #[error("the signature is expired or not yet valid")]
    Expired,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Invalid,
    /// The body does not have the digest that was signed.
    #[error("the body does not match its digest")]
    DigestMismatch,
    /// The intent is not acceptable.
    #[error(transparent)]
    Intent(#[from] IntentError),
}

/// The components of a request that a device's or an instance's signature covers.
///
/// Unverified: fields are what the sender said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Components {
    /// HTTP method, upper case.
    pub method: String,
    /// Authority: the instance id for devices, the peer's name for instances.
    pub authority: String,
    /// Path, beginning with `/`.
    pub path: String,
    /// Query including its `?`; `?` alone where there is none (RFC 9421 section 2.2.7).
    pub query: String,
    /// `content-digest` (RFC 9530) of the body.
    pub content_digest: String,
    /// Device headers; absent for [`Profile::Instance`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceHeaders>,
}

/// Headers that only a device's request carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceHeaders {
    /// `keyfold-realm`: the realm id.
    pub realm: String,
    /// `keyfold-project`: the app's domain.
    pub project: String,
    /// `keyfold-intent`.
    pub intent: String,
    /// `keyfold-session`: SHA-256 of the session attestation; absent before there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

/// A request's signed part together with its signature: all that a verifier needs but the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedComponents {
    /// What is covered.
    pub components: Components,
    /// The field `signature-input`.
    pub signature_input: String,
    /// The field `signature`.
    pub signature: String,
}

/// Formats the `content-digest` of a body (RFC 9530, SHA-256).
pub fn content_digest(body: &[u8]) -> String {
    let mut out = String::from("sha-256=:");
    out.push_str(&Base64::encode_string(&sha256(body)));
    out.push(':');
    out
}

/// Parameters of a signature that is about to be made.
#[derive(Debug, Clone)]
pub struct SignatureParams<'a> {
    /// Unix seconds.
    pub created: u64,
    /// Seconds the signature lives, at most [`MAX_LIFETIME_SECONDS`].
    pub lifetime_seconds: u64,
    /// Random, unique per signature; visible ASCII, 16 to [`MAX_NONCE_LEN`] bytes.
    pub nonce: &'a str,
    /// The signer's key id: a JWK thumbprint or an instance id.
    pub key_id: &'a str,
}

/// A request that only lacks its signature. The signing itself happens outside, since in a browser
/// it is asynchronous.
#[derive(Debug, Clone)]
pub struct UnsignedRequest {
    components: Components,
    params: String,
    base: String,
}

impl UnsignedRequest {
    /// Lays out the signature base of `components` for `profile`.
    ///
    /// # Errors
    ///
    /// [`SignatureError::Malformed`] for a component that could not be sent as a header, or a
    /// missing one.
    pub fn new(
        profile: Profile,
        components: Components,
        params: &SignatureParams<'_>,
    ) -> Result<Self, SignatureError> {
        let names: Vec<String> = profile
            .components()
            .iter()
            .map(|name| format!("\"{name}\""))
            .collect();
        let text = format!(
            "({});created={};expires={};nonce=\"{}\";keyid=\"{}\";tag=\"{}\"",
            names.join(" "),
            params.created,
            params.created.saturating_add(params.lifetime_seconds),
            params.nonce,
            params.key_id,
            profile.tag(),
        );
        let base = signature_base(profile, &components, &text)?;
        Ok(Self {
            components,
            params: text,
            base,
        })
    }

    /// Returns the bytes to sign: ECDSA P-256 with SHA-256 or Ed25519 (RFC 9421 section 3.3).
    pub fn signature_base(&self) -> &[u8] {
        self.base.as_bytes()
    }

    /// Adds the 64-byte signature.
    pub fn with_signature(self, signature: &[u8; 64]) -> SignedComponents {
        SignedComponents {
            components: self.components,
            signature_input: format!("{LABEL}={}", self.params),
            signature: format!("{LABEL}=:{}:", Base64::encode_string(signature)),
        }
    }
}

/// A signature whose form, time and coverage are checked, but not yet the signature itself.
struct ParsedSignature {
    base: String,
    signature: [u8; 64],
    key_id: String,
    nonce: String,
    created: u64,
    expires: u64,
}

fn parse(
    profile: Profile,
    signed: &SignedComponents,
    now_unix_seconds: u64,
) -> Result<ParsedSignature, SignatureError> {
    let list = single_inner_list(&signed.signature_input)?;
    let params_text = signed
        .signature_input
        .strip_prefix(LABEL)
        .and_then(|rest| rest.strip_prefix('='))
        .ok_or(SignatureError::Malformed)?;

    let mut names = list.items.iter();
    for wanted in profile.components() {
        match names.next() {
            Some(item) if item.params.is_empty() && is_string(&item.bare_item, wanted) => {}
            _ => return Err(SignatureError::WrongComponents),
        }
    }
    if names.next().is_some() {
        return Err(SignatureError::WrongComponents);
    }

    let string = |name: &str| match list.params.get(name) {
        Some(BareItem::String(value)) => Ok(value.as_str()),
        _ => Err(SignatureError::Malformed),
    };
    let seconds = |name: &str| match list.params.get(name) {
        Some(BareItem::Integer(value)) => {
            u64::try_from(i64::from(*value)).map_err(|_| SignatureError::Malformed)
        }
        _ => Err(SignatureError::Malformed),
    };
    if list.params.len() != 5 {
        return Err(SignatureError::Malformed);
    }
    if string("tag")? != profile.tag() {
        return Err(SignatureError::WrongTag);
    }
    let (created, expires) = (seconds("created")?, seconds("expires")?);
    let nonce = string("nonce")?;
    if !(16..=MAX_NONCE_LEN).contains(&nonce.len()) {
        return Err(SignatureError::Malformed);
    }
    let lives = expires
        .checked_sub(created)
        .ok_or(SignatureError::Expired)?;
    if lives > MAX_LIFETIME_SECONDS
        || expires <= now_unix_seconds
        || created > now_unix_seconds.saturating_add(MAX_SKEW_SECONDS)
    {
        return Err(SignatureError::Expired);
    }
    Ok(ParsedSignature {
        base: signature_base(profile, &signed.components, params_text)?,
        signature: single_byte_sequence(&signed.signature)?,
        key_id: string("keyid")?.to_owned(),
        nonce: nonce.to_owned(),
        created,
        expires,
    })
}

fn is_string(item: &BareItem, wanted: &str) -> bool {
    matches!(item, BareItem::String(value) if value.as_str() == wanted)
}

/// Parses `keyfold=(…)…` and insists that it is the one canonical text of its content.
fn single_inner_list(text: &str) -> Result<InnerList, SignatureError> {
    if text.len() > MAX_COMPONENT_LEN {
        return Err(SignatureError::Malformed);
    }
    let parsed: Dictionary = Parser::new(text)
        .parse()
        .map_err(|_| SignatureError::Malformed)?;
    let canonical = parsed.serialize().ok_or(SignatureError::Malformed)?;
    if canonical != text || parsed.len() != 1 {
        return Err(SignatureError::Malformed);
    }
    match parsed.into_iter().next() {
        Some((name, ListEntry::InnerList(list))) if name.as_str() == LABEL => Ok(list),
        _ => Err(SignatureError::Malformed),
    }
}

fn single_byte_sequence(text: &str) -> Result<[u8; 64], SignatureError> {
    if text.len() > 256 {
        return Err(SignatureError::Malformed);
    }
    let parsed: Dictionary = Parser::new(text)
        .parse()
        .map_err(|_| SignatureError::Malformed)?;
    if parsed.len() != 1 {
        return Err(SignatureError::Malformed);
    }
    match parsed.get(LABEL) {
        Some(ListEntry::Item(item)) if item.params.is_empty() => match &item.bare_item {
            BareItem::ByteSequence(bytes) => bytes
                .as_slice()
                .try_into()
                .map_err(|_| SignatureError::Malformed),
            _ => Err(SignatureError::Malformed),
        },
        _ => Err(SignatureError::Malformed),
    }
}

/// Builds the signature base (RFC 9421 section 2.5).
///
/// # Security
///
/// A value with a line feed could forge a further line, so only visible ASCII and inner spaces are
/// accepted.
fn signature_base(
    profile: Profile,
    components: &Components,
    params: &str,
) -> Result<String, SignatureError> {
    let device = components.device.as_ref();
    let mut base = String::with_capacity(1024);
    for name in profile.components() {
        let value = match *name {
            "@method" => Some(components.method.as_str()),
            "@authority" => Some(components.authority.as_str()),
            "@path" => Some(components.path.as_str()),
            "@query" => Some(components.query.as_str()),
            "content-digest" => Some(components.content_digest.as_str()),
            "keyfold-realm" => device.map(|d| d.realm.as_str()),
            "keyfold-project" => device.map(|d| d.project.as_str()),
            "keyfold-intent" => device.map(|d| d.intent.as_str()),
            "keyfold-session" => device.and_then(|d| d.session.as_deref()),
            _ => None,
        }
        .filter(|value| is_field_value(value))
        .ok_or(SignatureError::Malformed)?;
        let _ = writeln!(base, "\"{name}\": {value}");
    }
    // What the profile does not cover must not be there either.
    let covers = |name: &str| profile.components().contains(&name);
    if device.is_some() != covers("keyfold-realm")
        || device.is_some_and(|d| d.session.is_some()) != covers("keyfold-session")
    {
        return Err(SignatureError::Malformed);
    }
    let _ = write!(base, "\"@signature-params\": {params}");
    Ok(base)
}

fn is_field_value(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= MAX_COMPONENT_LEN
        && value.bytes().all(|b| (0x20..=0x7e).contains(&b))
        && !value.starts_with(' ')
        && !value.ends_with(' ')
}

/// A device's request whose signature verified. Only [`verify_device`] makes one.
#[derive(Debug, Clone)]
#[expect(
    clippy::manual_non_exhaustive,
    reason = "only verification makes one, in this crate too"
)]
pub struct VerifiedRequest {
    /// Thumbprint of the device's key.
    pub device: Thumbprint,
    /// The realm the device addressed.
    pub realm: RealmId,
    /// The project the device addressed.
    pub project: ProjectId,
    /// What the request is for.
    pub intent: Intent,
    /// Hash of the session attestation; `None` before there is a session.
    pub session: Option<Digest32>,
    /// Method, authority, path, query as signed.
    pub components: Components,
    /// The nonce; whoever verifies must also see that it is new, until `expires`.
    pub nonce: String,
    /// Unix seconds.
    pub created: u64,
    /// Unix seconds.
    pub expires: u64,
    _verified: (),
}

/// Verifies a device's signature over a request.
///
/// # Errors
///
/// [`SignatureError`]; a session hash that is not the SHA-256 shape, a realm or project that is not
/// well formed is [`SignatureError::Malformed`].
///
/// # Security
///
/// Checks form, coverage, time, key and signature. Does not check: that the nonce is new, that
/// the key belongs to an account, that realm, authority and path are the verifier's own, nor the
/// body ([`check_body`]). RFC 9421 section 3.2.
pub fn verify_device(
    profile: Profile,
    signed: &SignedComponents,
    key: &PublicJwk,
    now_unix_seconds: u64,
) -> Result<VerifiedRequest, SignatureError> {
    let parsed = parse(profile, signed, now_unix_seconds)?;
    let device = key.thumbprint();
    if parsed.key_id != device.to_string() {
        return Err(SignatureError::WrongKey);
    }
    key.verify(parsed.base.as_bytes(), &parsed.signature)
        .map_err(|_| SignatureError::Invalid)?;
    let headers = signed
        .components
        .device
        .as_ref()
        .ok_or(SignatureError::Malformed)?;
    let intent = Intent::parse(&headers.intent)?;
    if intent.operation().precedes_session() != headers.session.is_none() {
        return Err(SignatureError::WrongComponents);
    }
    let session = match &headers.session {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| SignatureError::Malformed)?),
    };
    Ok(VerifiedRequest {
        device,
        realm: headers
            .realm
            .parse()
            .map_err(|_| SignatureError::Malformed)?,
        project: headers
            .project
            .parse()
            .map_err(|_| SignatureError::Malformed)?,
        intent,
        session,
        components: signed.components.clone(),
        nonce: parsed.nonce,
        created: parsed.created,
        expires: parsed.expires,
        _verified: (),
    })
}

/// Verifies an enclave instance's signature over a request to a holder or guard.
///
/// # Errors
///
/// [`SignatureError`].
///
/// # Security
///
/// As [`verify_device`]; the channel (TLS 1.3) keeps replays out, so the nonce needs no memory.
pub fn verify_instance(
    signed: &SignedComponents,
    key_id: &str,
    key: &keyfold_crypto::ed25519::VerifyingKey,
    now_unix_seconds: u64,
) -> Result<(), SignatureError> {
    let parsed = parse(Profile::Instance, signed, now_unix_seconds)?;
    if parsed.key_id != key_id {
        return Err(SignatureError::WrongKey);
    }
    key.verify(parsed.base.as_bytes(), &parsed.signature)
        .map_err(|_| SignatureError::Invalid)
}

/// Checks that a body has the digest that was signed.
///
/// # Errors
///
/// [`SignatureError::DigestMismatch`].
pub fn check_body(components: &Components, body: &[u8]) -> Result<(), SignatureError> {
    if content_digest(body) == components.content_digest {
        Ok(())
    } else {
        Err(SignatureError::DigestMismatch)
    }
}

#[cfg(test)]
mod tests;
