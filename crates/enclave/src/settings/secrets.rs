//! A project's secrets: their names, their forms, and what they are for.

use core::fmt;

use keyfold_crypto::SecretBytes;
use keyfold_identity::oidc::client::{
    AppleKey, ClientCredentials, ClientSecret, signing_key_from_pem,
};
use keyfold_protocol::project::{ClientAuth, SignInSettings};
use keyfold_protocol::secret_text::SecretText;
use keyfold_protocol::webhook::WebhookSecret;

use super::{SettingsError, is_name, wrong};
use crate::records::Project;

/// Longest mail password, bytes.
const MAX_PASSWORD: usize = 253;

/// What a secret is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SecretName {
    /// `mail`: the password at the mail server.
    Mail,
    /// `webhook`: the key that webhooks are signed with, `whsec_` and base64.
    Webhook,
    /// `provider:NAME`: what the registration at a provider proves itself with.
    Provider(String),
}

impl SecretName {
    /// Reads a name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "mail" => Some(Self::Mail),
            "webhook" => Some(Self::Webhook),
            _ => text
                .strip_prefix("provider:")
                .filter(|name| is_name(name))
                .map(|name| Self::Provider(name.to_owned())),
        }
    }

    /// Checks that a value is of a form that can be meant. Whether it fits the settings is seen in
    /// [`wanting`]: a secret may come before the settings that use it.
    pub(crate) fn check(&self, value: &SecretText) -> Result<(), SettingsError> {
        let good = match self {
            Self::Mail => {
                (1..=MAX_PASSWORD).contains(&value.len()) && !value.chars().any(char::is_control)
            }
            Self::Webhook => WebhookSecret::parse(value).is_ok(),
            Self::Provider(_) => {
                ClientSecret::new(bytes(value)).is_ok()
                    || signing_key_from_pem(&bytes(value)).is_ok()
            }
        };
        let why = match self {
            _ if good => return Ok(()),
            Self::Mail => "1 to 253 bytes without control characters",
            Self::Webhook => "`whsec_` and 24 to 64 bytes in base64",
            Self::Provider(_) => {
                "1 to 1024 visible ASCII characters, or a PKCS#8 PEM of a P-256 key"
            }
        };
        Err(wrong("secret", why))
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mail => f.write_str("mail"),
            Self::Webhook => f.write_str("webhook"),
            Self::Provider(name) => write!(f, "provider:{name}"),
        }
    }
}

/// The secrets that a project's settings need and that are not there, or not of their form.
pub(crate) fn wanting(project: &Project) -> Vec<String> {
    let settings = &project.sign_in;
    let mut wanting = Vec::new();
    if project.mail.username.is_some() && project.mail_password().is_none() {
        wanting.push(SecretName::Mail.to_string());
    }
    if settings.webhook.is_some() && project.secret(&SecretName::Webhook).is_none() {
        wanting.push(SecretName::Webhook.to_string());
    }
    for name in settings.providers.keys() {
        if credentials(project, name).is_err() {
            wanting.push(SecretName::Provider(name.clone()).to_string());
        }
    }
    wanting
}

/// What the registration at a provider proves itself with.
///
/// # Errors
///
/// [`SettingsError`] where the provider is not one of the project, or its secret is missing or of
/// another form than `client_auth` wants.
pub(crate) fn credentials(
    project: &Project,
    name: &str,
) -> Result<ClientCredentials, SettingsError> {
    let SignInSettings { providers, .. } = &project.sign_in;
    let secret_name = SecretName::Provider(name.to_owned());
    let missing = || wrong(secret_name.to_string(), "this secret is missing");
    let secret = || project.secret(&secret_name).map(bytes).ok_or_else(missing);
    let stated = providers.get(name).ok_or_else(missing)?;
    let made = match &stated.client_auth {
        ClientAuth::Public => Ok(ClientCredentials::Public),
        ClientAuth::SecretBasic {} => {
            ClientSecret::new(secret()?).map(ClientCredentials::SecretBasic)
        }
        ClientAuth::SecretPost {} => {
            ClientSecret::new(secret()?).map(ClientCredentials::SecretPost)
        }
        ClientAuth::PrivateKeyJwt { kid } => {
            signing_key_from_pem(&secret()?).map(|key| ClientCredentials::PrivateKeyJwt {
                key,
                kid: kid.clone(),
            })
        }
        ClientAuth::Apple { team_id, key_id } => {
            AppleKey::from_pem(team_id, key_id, &secret()?).map(ClientCredentials::Apple)
        }
    };
    made.map_err(|error| wrong(secret_name.to_string(), error))
}

fn bytes(secret: &SecretText) -> SecretBytes {
    SecretBytes::from_slice(secret.as_bytes())
}
