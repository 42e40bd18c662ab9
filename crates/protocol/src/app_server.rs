//! Messages for an app's own server: the ID token that its clients bring it, and whether a session
//! still stands.

use keyfold_crypto::jwk::PublicJwk;
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, ProjectId, SessionId};
use crate::session::{Confirmation, Nonce};

/// Asks for an ID token of the session.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssueIdToken {
    /// What the app's server gave for this very token, so that it sees that none is replayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<Nonce>,
}

/// An ID token.
#[derive(Clone, Serialize, Deserialize)]
pub struct IdToken {
    /// Compact JWT.
    pub id_token: String,
    /// Unix seconds at which it ends.
    pub expires: u64,
}

/// Asks, as a server of the project, whether the session of a token still stands.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Introspect {
    /// A session attestation or an ID token.
    pub token: String,
    /// The server's key, which the project's settings list; it must have signed this request.
    pub server: PublicJwk,
}

/// What is said of a token (RFC 7662 section 2.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub enum Introspection {
    /// It is good for nothing, for whatever reason.
    Inactive,
    /// It is genuine, and its session stands.
    Active(Box<ActiveToken>),
}

/// A token whose session stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveToken {
    /// As the token says: a realm in an attestation, an address in an ID token.
    pub iss: String,
    /// Project.
    pub aud: ProjectId,
    /// Project again: the client of RFC 7662.
    pub client_id: ProjectId,
    /// Account.
    pub sub: AccountId,
    /// Session.
    pub sid: SessionId,
    /// When the person signed in, in Unix seconds.
    pub auth_time: u64,
    /// How, as the token says.
    pub amr: Vec<String>,
    /// How well, as the token says.
    pub acr: String,
    /// When the token was made, in Unix seconds.
    pub iat: u64,
    /// First second, in Unix seconds, in which the token is no longer valid.
    pub exp: u64,
    /// The token.
    pub jti: String,
    /// The device of an attestation; an ID token is a bearer token and has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    active: bool,
    #[serde(flatten)]
    token: Option<Box<ActiveToken>>,
}

impl From<Introspection> for Wire {
    fn from(told: Introspection) -> Self {
        let token = match told {
            Introspection::Inactive => None,
            Introspection::Active(token) => Some(token),
        };
        Self {
            active: token.is_some(),
            token,
        }
    }
}

impl TryFrom<Wire> for Introspection {
    type Error = &'static str;

    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        match wire {
            Wire { active: false, .. } => Ok(Self::Inactive),
            Wire {
                token: Some(token), ..
            } => Ok(Self::Active(token)),
            Wire { token: None, .. } => Err("an active token without its claims"),
        }
    }
}

impl core::fmt::Debug for IdToken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("IdToken([redacted])")
    }
}

impl core::fmt::Debug for Introspect {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Introspect([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use keyfold_crypto::jwk::Thumbprint;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_inactive_says_nothing_else_and_what_is_active_says_all() {
        let inactive = serde_json::to_string(&Introspection::Inactive).unwrap();
        assert_eq!(inactive, r#"{"active":false}"#);
        let active = Introspection::Active(Box::new(ActiveToken {
            iss: "https://id.example".to_owned(),
            aud: "app.example".parse().unwrap(),
            client_id: "app.example".parse().unwrap(),
            sub: AccountId::from_bytes([2; 16]),
            sid: SessionId::from_bytes([4; 16]),
            auth_time: 1,
            amr: vec!["otp".to_owned()],
            acr: "email-code".to_owned(),
            iat: 2,
            exp: 3,
            jti: "5".to_owned(),
            cnf: Some(Confirmation {
                jkt: Thumbprint([3; 32]),
            }),
        }));
        let text = serde_json::to_value(&active).unwrap();
        assert_eq!(
            text,
            json!({
                "active": true, "iss": "https://id.example", "aud": "app.example",
                "client_id": "app.example", "sub": "02".repeat(16), "sid": "04".repeat(16),
                "auth_time": 1, "amr": ["otp"], "acr": "email-code", "iat": 2, "exp": 3, "jti": "5",
                "cnf": {"jkt": "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM"},
            })
        );
        for told in [active, Introspection::Inactive] {
            let text = serde_json::to_string(&told).unwrap();
            assert_eq!(serde_json::from_str::<Introspection>(&text).unwrap(), told);
        }
        assert!(serde_json::from_str::<Introspection>(r#"{"active":true}"#).is_err());
    }
}
