//! What an app's server is told of what happens: signed `POST`s in the format of Standard Webhooks.
//!
//! `webhook-id` names the event and is the same at every attempt, `webhook-timestamp` is when this
//! attempt was made, `webhook-signature` is `v1,` and the base64 of HMAC-SHA256 over
//! `id.timestamp.body`. The body says which account, device and session: never an address, a name or
//! a token.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use base64ct::{Base64, Encoding};
use keyfold_crypto::SecretBytes;
use keyfold_crypto::hash::hmac_sha256;
use keyfold_crypto::jwk::Thumbprint;
use serde::{Deserialize, Serialize};

use crate::holder_api::DeviceState;
use crate::ids::{AccountId, SessionId};

/// Header names.
pub mod header {
    /// Names the event.
    pub const ID: &str = "webhook-id";
    /// Unix seconds of the attempt.
    pub const TIMESTAMP: &str = "webhook-timestamp";
    /// The signature.
    pub const SIGNATURE: &str = "webhook-signature";
}

/// Name of the key among a project's secrets.
pub const SECRET_NAME: &str = "webhook";
/// Bytes that the key may have.
pub const SECRET_LEN: core::ops::RangeInclusive<usize> = 24..=64;
const SECRET_PREFIX: &str = "whsec_";

/// A project's key of webhooks: `whsec_` and the base64 of 24 to 64 bytes.
///
/// # Security
///
/// Wipes itself on drop; `Debug` prints nothing of it.
#[derive(Debug)]
pub struct WebhookSecret(SecretBytes);

/// Reports a text that is no key of webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook's key is whsec_ and the base64 of 24 to 64 bytes")]
pub struct InvalidWebhookSecret;

impl WebhookSecret {
    /// Reads a key.
    ///
    /// # Errors
    ///
    /// [`InvalidWebhookSecret`].
    pub fn parse(text: &str) -> Result<Self, InvalidWebhookSecret> {
        let encoded = text
            .strip_prefix(SECRET_PREFIX)
            .ok_or(InvalidWebhookSecret)?;
        // 64 bytes are 88 characters.
        if encoded.len() > 88 {
            return Err(InvalidWebhookSecret);
        }
        let bytes = Base64::decode_vec(encoded).map_err(|_| InvalidWebhookSecret)?;
        let secret = SecretBytes::from_vec(bytes);
        if SECRET_LEN.contains(&secret.len()) {
            Ok(Self(secret))
        } else {
            Err(InvalidWebhookSecret)
        }
    }

    /// Computes the value of `webhook-signature` for one attempt.
    pub fn sign(&self, id: &str, timestamp_unix_seconds: u64, body: &[u8]) -> String {
        let mut message = format!("{id}.{timestamp_unix_seconds}.").into_bytes();
        message.extend_from_slice(body);
        let mac = self.0.expose(|key| hmac_sha256(key, &message));
        format!("v1,{}", Base64::encode_string(&mac))
    }
}

/// What happened in a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Happened {
    /// Somebody signed in.
    #[serde(rename = "sign_in.completed")]
    SignInCompleted {
        /// The account.
        account: AccountId,
        /// Thumbprint of the device's key.
        device: Thumbprint,
        /// The session.
        session: SessionId,
        /// How, such as `email`.
        method: String,
        /// Whether the device may act yet.
        #[serde(flatten)]
        state: DeviceState,
    },
    /// A device signed in for the first time.
    #[serde(rename = "device.added")]
    DeviceAdded {
        /// The account.
        account: AccountId,
        /// Thumbprint of the device's key.
        device: Thumbprint,
        /// Whether it may act yet.
        #[serde(flatten)]
        state: DeviceState,
    },
    /// A device was taken off the account, its sessions with it.
    #[serde(rename = "device.revoked")]
    DeviceRevoked {
        /// The account.
        account: AccountId,
        /// Thumbprint of the device's key.
        device: Thumbprint,
    },
    /// A session was ended.
    #[serde(rename = "session.revoked")]
    SessionRevoked {
        /// The account.
        account: AccountId,
        /// Thumbprint of the device's key.
        device: Thumbprint,
        /// The session.
        session: SessionId,
    },
}

/// The body of a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookBody {
    /// What happened.
    #[serde(flatten)]
    pub happened: Happened,
    /// When, as ISO 8601 in UTC.
    pub timestamp: String,
}

impl WebhookBody {
    /// Dates an event.
    pub fn new(happened: Happened, at_unix_seconds: u64) -> Self {
        Self {
            happened,
            timestamp: iso_8601(at_unix_seconds),
        }
    }
}

/// Writes a time as `2026-01-31T12:00:00Z`.
fn iso_8601(unix_seconds: u64) -> String {
    const DAY: u64 = 86_400;
    let (days, second) = (unix_seconds / DAY, unix_seconds % DAY);
    // Howard Hinnant's civil_from_days: years begin in March, eras have 400 of them.
    let shifted = days.saturating_add(719_468);
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = 400 * era + year_of_era + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_signature_is_that_of_the_published_example() {
        let secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn only_keys_of_the_form_and_size_are_taken_and_none_is_printed() {
        let of = |len: usize| format!("whsec_{}", Base64::encode_string(&vec![7; len]));
        for len in [24, 32, 64] {
            let secret = WebhookSecret::parse(&of(len)).unwrap();
            assert!(!format!("{secret:?}").contains("BwcH"));
        }
        let good = of(24);
        for bad in [
            of(23),
            of(65),
            of(1_000),
            good.replace("whsec_", ""),
            good.replace("whsec_", "WHSEC_"),
            good.replacen('B', "-", 1),
            format!("{good} "),
            "whsec_".to_owned(),
            String::new(),
        ] {
            assert!(WebhookSecret::parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_body_is_the_documented_one() {
        let account = AccountId::from_bytes([2; 16]);
        let device = Thumbprint([3; 32]);
        let session = SessionId::from_bytes([4; 16]);
        let (account_text, session_text) = ("02".repeat(16), "04".repeat(16));
        let device_text = "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM";
        let of_device = json!({"account": account_text, "device": device_text});
        let of_session =
            json!({"account": account_text, "device": device_text, "session": session_text});
        let mut signed_in = of_session.clone();
        signed_in["method"] = "email".into();
        signed_in["state"] = "active".into();
        let mut added = of_device.clone();
        added["state"] = "pending".into();
        added["active_at"] = 9.into();
        let state = DeviceState::Pending { active_at: 9 };
        for (happened, name, data) in [
            (
                Happened::SignInCompleted {
                    account,
                    device,
                    session,
                    method: "email".to_owned(),
                    state: DeviceState::Active,
                },
                "sign_in.completed",
                signed_in,
            ),
            (
                Happened::DeviceAdded {
                    account,
                    device,
                    state,
                },
                "device.added",
                added,
            ),
            (
                Happened::DeviceRevoked { account, device },
                "device.revoked",
                of_device,
            ),
            (
                Happened::SessionRevoked {
                    account,
                    device,
                    session,
                },
                "session.revoked",
                of_session,
            ),
        ] {
            let body = WebhookBody::new(happened, 1_800_000_000);
            let text = serde_json::to_value(&body).unwrap();
            assert_eq!(
                text,
                json!({"type": name, "data": data, "timestamp": "2027-01-15T08:00:00Z"})
            );
            assert_eq!(serde_json::from_value::<WebhookBody>(text).unwrap(), body);
        }
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_735_689_600, "2025-01-01T00:00:00Z"),
        ] {
            assert_eq!(iso_8601(seconds), text);
        }
    }
}
