//! One attempt.

use std::sync::Arc;

use keyfold_identity::oidc::url::HttpsUrl;
use keyfold_protocol::project::WebhookSettings;
use keyfold_protocol::secret_text::SecretText;
use keyfold_protocol::webhook::{WebhookSecret, header};

use super::queue::Delivery;
use crate::platform::Platform;
use crate::web::{Ask, WebError, ask};

/// Most bytes of an answer, which nobody reads.
const MAX_ANSWER: usize = 64 * 1024;

/// A project's server, as its settings name it.
pub(crate) struct Destination {
    pub(super) url: HttpsUrl,
    roots: Option<Arc<str>>,
    secret: WebhookSecret,
}

impl Destination {
    /// Reads the settings; `None` where they or the key cannot be used.
    pub(super) fn new(settings: &WebhookSettings, secret: Option<&SecretText>) -> Option<Self> {
        Some(Self {
            url: HttpsUrl::parse(&settings.url).ok()?,
            roots: settings.roots_pem.as_deref().map(Arc::from),
            secret: WebhookSecret::parse(secret?).ok()?,
        })
    }
}

/// What became of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The server has it.
    Told,
    /// Nobody wants it any more.
    Unwanted,
    /// The server is to be sent nothing more.
    Gone,
    /// It may be tried again. The reason names no address.
    Failed(String),
}

/// Signs an event for this moment and sends it.
pub(super) async fn send<P: Platform>(
    platform: &P,
    to: &Destination,
    delivery: &Delivery,
    now_unix_seconds: u64,
) -> Outcome {
    let signature = to
        .secret
        .sign(&delivery.id, now_unix_seconds, &delivery.body);
    let request = Ask {
        method: "POST",
        headers: vec![
            ("content-type", "application/json".to_owned()),
            (header::ID, delivery.id.clone()),
            (header::TIMESTAMP, now_unix_seconds.to_string()),
            (header::SIGNATURE, signature),
        ],
        body: delivery.body.clone(),
        max_response: MAX_ANSWER,
    };
    match ask(platform, &to.url, to.roots.as_ref(), request).await {
        Ok(answer) => match answer.status {
            200..300 => Outcome::Told,
            410 => Outcome::Gone,
            status => Outcome::Failed(WebError::Status(status).to_string()),
        },
        Err(error) => Outcome::Failed(error.to_string()),
    }
}
