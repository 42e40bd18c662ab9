//! The providers: where they are, what they sign, and where they differ from the standard.
//!
//! | Provider | Proof | Subject | Email counts as verified | Source |
//! |---|---|---|---|---|
//! | Google | ID token, RS256 | `sub` | where Google is authoritative | <https://developers.google.com/identity/openid-connect/openid-connect> |
//! | Apple | ID token, RS256 | `sub`, of the developer's team | where it says so | <https://developer.apple.com/documentation/signinwithapplerestapi> |
//! | X | its answer to `/2/users/me` | `data.id` | never: none is asked for | <https://docs.x.com/fundamentals/authentication/oauth-2-0/user-access-token> |
//! | Discord | its answer to `/users/@me` | `id` | where `verified` says so | <https://docs.discord.com/developers/topics/oauth2> |
//! | any other | ID token | `sub` | as the project says | OpenID Connect Discovery |
//!
//! PKCE: Google and X ask for it; Discord honours S256 with verifiers of 43 characters or more
//! (<https://github.com/discord/discord-api-docs/issues/5254>). Apple's documents do not mention it:
//! it is sent all the same, and what holds there is the nonce in the ID token.
//!
//! An answer of X or Discord is believed because it came over TLS for an access token that we
//! redeemed ourselves, with our own client's secret. An access token that a client brings proves
//! nothing: it may have been made for another app.

use serde::Deserialize;

use super::discovery::ProviderMetadata;
use super::json;
use super::keys::Algorithm;
use super::subject::{ClaimedEmail, EmailTrust, is_subject};
use super::url::HttpsUrl;

/// Most bytes of a user-info document.
pub const MAX_USER_INFO_LEN: usize = 64 * 1024;

/// A provider of identities, as sign-ins need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: HttpsUrl,
    pub(super) token_endpoint: HttpsUrl,
    pub(super) proof: Proof,
    pub(super) scope: &'static str,
    /// The callback arrives as a form in a POST.
    pub(super) form_post: bool,
    /// The callback has to name the issuer (RFC 9207); where it need not, it may.
    pub(super) callback_names_issuer: bool,
}

/// What proves who signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Proof {
    IdToken {
        jwks_uri: HttpsUrl,
        algorithms: Vec<Algorithm>,
        email_trust: EmailTrust,
    },
    UserInfo {
        endpoint: HttpsUrl,
        form: UserInfoForm,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UserInfoForm {
    X,
    Discord,
}

impl Provider {
    /// Google. Subjects are the same in all apps of one Google Cloud organisation's clients.
    pub fn google() -> Self {
        Self {
            issuer: "https://accounts.google.com".to_owned(),
            authorization_endpoint: HttpsUrl::known("accounts.google.com", "/o/oauth2/v2/auth"),
            token_endpoint: HttpsUrl::known("oauth2.googleapis.com", "/token"),
            proof: Proof::IdToken {
                jwks_uri: HttpsUrl::known("www.googleapis.com", "/oauth2/v3/certs"),
                algorithms: vec![Algorithm::Rs256],
                email_trust: EmailTrust::GoogleAuthoritative,
            },
            scope: "openid email",
            form_post: false,
            callback_names_issuer: false,
        }
    }

    /// Apple. Its callback is a form in a POST, as it demands where a scope is asked for; its
    /// client secret is [`ClientCredentials::Apple`](super::client::ClientCredentials::Apple).
    pub fn apple() -> Self {
        Self {
            issuer: "https://appleid.apple.com".to_owned(),
            authorization_endpoint: HttpsUrl::known("appleid.apple.com", "/auth/authorize"),
            token_endpoint: HttpsUrl::known("appleid.apple.com", "/auth/token"),
            proof: Proof::IdToken {
                jwks_uri: HttpsUrl::known("appleid.apple.com", "/auth/keys"),
                algorithms: vec![Algorithm::Rs256],
                email_trust: EmailTrust::Claimed,
            },
            scope: "openid email",
            form_post: true,
            callback_names_issuer: false,
        }
    }

    /// X (Twitter). OAuth 2.0 without ID tokens; `/2/users/me` demands both scopes.
    pub fn x() -> Self {
        Self {
            issuer: "https://x.com".to_owned(),
            authorization_endpoint: HttpsUrl::known("x.com", "/i/oauth2/authorize"),
            token_endpoint: HttpsUrl::known("api.x.com", "/2/oauth2/token"),
            proof: Proof::UserInfo {
                endpoint: HttpsUrl::known("api.x.com", "/2/users/me"),
                form: UserInfoForm::X,
            },
            scope: "users.read tweet.read",
            form_post: false,
            callback_names_issuer: false,
        }
    }

    /// Discord. OAuth 2.0 without ID tokens.
    pub fn discord() -> Self {
        Self {
            issuer: "https://discord.com".to_owned(),
            authorization_endpoint: HttpsUrl::known("discord.com", "/oauth2/authorize"),
            token_endpoint: HttpsUrl::known("discord.com", "/api/oauth2/token"),
            proof: Proof::UserInfo {
                endpoint: HttpsUrl::known("discord.com", "/api/users/@me"),
                form: UserInfoForm::Discord,
            },
            scope: "identify email",
            form_post: false,
            callback_names_issuer: false,
        }
    }

    /// Any OpenID provider, by its discovery document.
    pub fn discovered(metadata: ProviderMetadata, email_trust: EmailTrust) -> Self {
        Self {
            issuer: metadata.issuer.as_str().to_owned(),
            authorization_endpoint: metadata.authorization_endpoint,
            token_endpoint: metadata.token_endpoint,
            proof: Proof::IdToken {
                jwks_uri: metadata.jwks_uri,
                algorithms: metadata.algorithms,
                email_trust,
            },
            scope: "openid email",
            form_post: false,
            callback_names_issuer: metadata.callback_names_issuer,
        }
    }

    /// Returns the issuer: for X and Discord, which have none, the address they are known by.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns where codes are redeemed.
    pub fn token_endpoint(&self) -> &HttpsUrl {
        &self.token_endpoint
    }

    /// Returns where the keys of its ID tokens are, if it makes any.
    pub fn jwks_uri(&self) -> Option<&HttpsUrl> {
        match &self.proof {
            Proof::IdToken { jwks_uri, .. } => Some(jwks_uri),
            Proof::UserInfo { .. } => None,
        }
    }

    /// Returns whether its callback is a form in a POST rather than a query.
    pub fn callback_is_form_post(&self) -> bool {
        self.form_post
    }
}

#[derive(Deserialize)]
struct XAnswer {
    data: XUser,
}

#[derive(Deserialize)]
struct XUser {
    id: String,
}

#[derive(Deserialize)]
struct DiscordUser {
    id: String,
    email: Option<String>,
    #[serde(default)]
    verified: bool,
    #[serde(default)]
    bot: bool,
}

/// Reads who a provider says an access token is of: subject and address.
pub(super) fn read_user_info(
    form: UserInfoForm,
    body: &[u8],
) -> Option<(String, Option<ClaimedEmail>)> {
    let (subject, email) = match form {
        UserInfoForm::X => {
            let answer: XAnswer = json::from_slice(body, MAX_USER_INFO_LEN).ok()?;
            (answer.data.id, None)
        }
        UserInfoForm::Discord => {
            let user: DiscordUser = json::from_slice(body, MAX_USER_INFO_LEN).ok()?;
            if user.bot {
                return None;
            }
            let email = EmailTrust::Claimed.read(user.email.as_deref(), user.verified, None);
            (user.id, email)
        }
    };
    // Both number their users; a name or handle here would be one that can change hands.
    let numeric = subject.bytes().all(|b| b.is_ascii_digit());
    (numeric && is_subject(&subject)).then_some((subject, email))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_addresses_are_ones_that_parse() {
        let providers = [
            Provider::google(),
            Provider::apple(),
            Provider::x(),
            Provider::discord(),
        ];
        for provider in &providers {
            let proof = match &provider.proof {
                Proof::IdToken { jwks_uri, .. } => jwks_uri,
                Proof::UserInfo { endpoint, .. } => endpoint,
            };
            for url in [
                &provider.authorization_endpoint,
                &provider.token_endpoint,
                proof,
            ] {
                assert_eq!(HttpsUrl::parse(url.as_str()).as_ref(), Ok(url));
            }
            assert!(HttpsUrl::parse(&provider.issuer).is_ok());
        }
        for (index, provider) in providers.iter().enumerate() {
            assert!(
                providers[..index]
                    .iter()
                    .all(|other| other.issuer != provider.issuer)
            );
        }
    }

    fn x(body: &str) -> Option<String> {
        read_user_info(UserInfoForm::X, body.as_bytes()).map(|(subject, _)| subject)
    }

    fn discord(body: &str) -> Option<(String, Option<bool>)> {
        read_user_info(UserInfoForm::Discord, body.as_bytes())
            .map(|(subject, email)| (subject, email.map(|email| email.verified)))
    }

    /// The documents' own examples, shortened.
    #[test]
    fn the_answers_of_x_and_discord_give_the_number_of_the_user() {
        let body = r#"{"data":{"id":"2244994945","name":"Developers","username":"XDevelopers"}}"#;
        assert_eq!(x(body).as_deref(), Some("2244994945"));
        let body = r#"{"id":"80351110224678912","username":"Nelly","discriminator":"1337",
            "avatar":"8342","verified":true,"email":"nelly@discord.com","flags":64}"#;
        assert_eq!(
            discord(body),
            Some(("80351110224678912".to_owned(), Some(true)))
        );
        assert_eq!(
            discord(&body.replace("true", "false")).unwrap().1,
            Some(false)
        );
        assert_eq!(
            discord(r#"{"id":"8","email":null}"#),
            Some(("8".to_owned(), None))
        );
        assert_eq!(
            discord(r#"{"id":"8","email":"a@x.example"}"#).unwrap().1,
            Some(false)
        );
    }

    #[test]
    fn other_answers_are_nobody() {
        for body in [
            r#"{"id":"2244994945"}"#,
            r#"{"data":{"id":2244994945}}"#,
            r#"{"data":{"id":"jack"}}"#,
            r#"{"data":{"id":""}}"#,
            r#"{"data":{"id":"1","id":"2"}}"#,
            r#"{"errors":[{"title":"Unauthorized"}]}"#,
            "[]",
            "",
        ] {
            assert_eq!(x(body), None, "{body}");
        }
        for body in [
            r#"{"id":"8","bot":true}"#,
            r#"{"id":"8","verified":"true"}"#,
            r#"{"id":8}"#,
            r#"{"id":"8","id":"9"}"#,
            r#"{"id":"8a"}"#,
            r#"{"message":"401: Unauthorized","code":0}"#,
        ] {
            assert_eq!(discord(body), None, "{body}");
        }
        let huge = format!(
            "{{\"id\":\"8\",\"x\":\"{}\"}}",
            "x".repeat(MAX_USER_INFO_LEN)
        );
        assert_eq!(discord(&huge), None);
    }
}
