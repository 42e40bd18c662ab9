//! How a person proves who they are, at the terminal or from a program: the same for signing in,
//! stepping up and linking.

use std::io::{BufRead as _, Read as _};

use keyfold_client::ids::{Digest32, ProjectId};
use keyfold_client::{ClientError, PendingSignIn};
use keyfold_identity::oidc::commitment::TokenCommitment;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::secret_text::SecretText;
use keyfold_protocol::sign_in::{Method, Next, Proof};
use serde_json::json;
use zeroize::Zeroizing;

use crate::args::{Identity, TokenNonce};
use crate::commands::{User, app_server};
use crate::error::CliError;
use crate::output::{Report, printable, utc};

/// How often a person may correct a mailed code here; the enclave counts for itself.
const ATTEMPTS: u32 = 3;
/// Longest line that is taken for a code or a password, bytes.
const MAX_LINE: u64 = 1024;
/// Longest address that a person comes back to, bytes.
const MAX_CALLBACK: u64 = 16 * 1024;

/// A proof that is to be given.
pub(crate) enum Way {
    /// A mailed code, which may set a password.
    Email {
        address: String,
        new_password: Option<SecretText>,
    },
    /// A password, which may be changed.
    Password {
        address: String,
        change: bool,
    },
    Provider {
        name: String,
        redirect_uri: String,
    },
    Token {
        issuer: String,
        token: SecretText,
        salt: Option<Digest32>,
    },
    Totp,
    RecoveryCode,
}

/// Draws a nonce for a token of the app's own issuer.
pub(crate) fn token_nonce(user: &User, arguments: TokenNonce) -> Result<Report, CliError> {
    let project = user.project(arguments.project)?;
    let drawn = user.client.token_nonce(&project)?;
    let salt = Digest32::from_bytes(drawn.salt);
    Ok(Report::new(
        format!("nonce {}\nsalt  {salt}", drawn.nonce),
        json!({ "nonce": drawn.nonce, "salt": salt }),
    ))
}

/// Where codes, passwords and addresses come from: standard input, or the person who is asked.
#[derive(Clone, Copy)]
pub(crate) struct Sources {
    pub(crate) code: bool,
    pub(crate) password: bool,
    pub(crate) callback: bool,
}

impl Sources {
    pub(crate) fn of(identity: &Identity) -> Self {
        Self {
            code: identity.code_from_stdin,
            password: identity.password_from_stdin,
            callback: identity.callback_from_stdin,
        }
    }
}

impl Way {
    /// Reads the way from the command line, and asks for what has to be known before it begins.
    pub(crate) fn of(
        user: &User,
        identity: Identity,
        set_password: bool,
    ) -> Result<Self, CliError> {
        let from = Sources::of(&identity);
        let way = match identity {
            Identity {
                email: Some(address),
                password: true,
                ..
            } => Self::Password {
                address,
                change: set_password,
            },
            Identity {
                email: Some(address),
                ..
            } => Self::Email {
                address,
                new_password: None,
            },
            Identity {
                provider: Some(name),
                redirect_uri: Some(redirect_uri),
                ..
            } => Self::Provider { name, redirect_uri },
            Identity {
                token_file: Some(file),
                issuer: Some(issuer),
                token_salt: salt,
                ..
            } => {
                let text = Zeroizing::new(app_server::token(&file)?);
                let token = SecretText::from(text.trim().to_owned());
                Self::Token {
                    issuer,
                    token,
                    salt,
                }
            }
            _ => {
                return Err(CliError::usage(
                    "it is not said how",
                    "Use --email, --provider or --token-file.",
                ));
            }
        };
        way.check_askable(user, from, set_password)?;
        Ok(match way {
            // Before a mail is sent for it.
            Self::Email { address, .. } if set_password => Self::Email {
                address,
                new_password: Some(new_password(user, from)?),
            },
            way => way,
        })
    }

    /// Refuses to begin what could not be ended here.
    pub(crate) fn check_askable(
        &self,
        user: &User,
        from: Sources,
        set_password: bool,
    ) -> Result<(), CliError> {
        let (given, what, option) = match self {
            Self::Email { .. } | Self::Totp | Self::RecoveryCode => {
                (from.code, "code", "--code-from-stdin")
            }
            Self::Password { .. } => (from.password, "password", "--password-from-stdin"),
            Self::Provider { .. } => (
                from.callback,
                "address that you came back to",
                "--callback-from-stdin",
            ),
            Self::Token { .. } => (true, "", ""),
        };
        for (given, what, option) in [
            (given, what, option),
            (
                from.password || !set_password,
                "password",
                "--password-from-stdin",
            ),
        ] {
            if !given && !user.output.can_ask() {
                return Err(CliError::usage(
                    format!("there is no terminal to ask for the {what}"),
                    format!("Give it on standard input with {option}."),
                ));
            }
        }
        Ok(())
    }

    fn method(&self) -> Method {
        match self {
            Self::Email { address, .. } => Method::EmailCode {
                email: address.clone(),
            },
            Self::Password { address, .. } => Method::Password {
                email: address.clone(),
            },
            Self::Provider { name, redirect_uri } => Method::Provider {
                name: name.clone(),
                redirect_uri: redirect_uri.clone(),
            },
            Self::Token {
                issuer,
                token,
                salt,
            } => Method::Token {
                issuer: issuer.clone(),
                commitment: Digest32::from_bytes(*TokenCommitment::of(token).as_bytes()),
                salt: salt.map(|salt| *salt.as_bytes()),
            },
            Self::Totp => Method::Totp {},
            Self::RecoveryCode => Method::RecoveryCode {},
        }
    }

    /// Says what is to be done, where the person has to do something elsewhere.
    fn explain(&self, user: &User, pending: &PendingSignIn) {
        match (self, pending.next()) {
            (Self::Email { address, .. }, _) => user.output.say(&format!(
                "A code was sent to {}. It is valid until {}.",
                printable(address),
                utc(pending.expires())
            )),
            // Whoever reads from a program needs it too.
            (Self::Provider { .. }, Next::Redirect { url, .. }) => user.output.tell(&format!(
                "Open this address in a browser, until {}:\n{}",
                utc(pending.expires()),
                printable(url)
            )),
            _ => {}
        }
    }

    fn proof(&self, user: &User, from: Sources) -> Result<Proof, CliError> {
        Ok(match self {
            Self::Email { new_password, .. } => Proof::EmailCode {
                code: line(user, "Code", from.code, MAX_LINE)?,
                new_password: new_password.clone(),
            },
            Self::Password { change, .. } => Proof::Password {
                password: secret(user, "Password", from.password)?,
                new_password: match change {
                    true => Some(new_password(user, from)?),
                    false => None,
                },
            },
            Self::Provider { .. } => {
                let came_back = line(
                    user,
                    "The address that you came back to",
                    from.callback,
                    MAX_CALLBACK,
                )?;
                Proof::Provider {
                    callback: query_of(&came_back).to_owned().into(),
                }
            }
            Self::Token { token, .. } => Proof::Token {
                token: token.clone(),
            },
            Self::Totp => Proof::Totp {
                code: line(user, "Code of your app", from.code, MAX_LINE)?,
            },
            Self::RecoveryCode => Proof::RecoveryCode {
                code: secret(user, "Code on paper", from.code)?,
            },
        })
    }

    /// Begins, asks, and finishes; a mailed code that is typed may be corrected.
    pub(crate) async fn prove<T>(
        &self,
        user: &User,
        project: &ProjectId,
        from: Sources,
        finish: impl AsyncFn(&PendingSignIn, Proof) -> Result<T, ClientError>,
    ) -> Result<T, CliError> {
        let pending = {
            let _step = user.output.step(match self {
                Self::Email { .. } => "Verifying the enclave and asking for a code",
                _ => "Verifying the enclave",
            });
            user.client.start_sign_in(project, self.method()).await?
        };
        self.explain(user, &pending);
        let may_correct = matches!(self, Self::Email { .. }) && !from.code;
        let mut left = if may_correct { ATTEMPTS } else { 1 };
        loop {
            left = left.saturating_sub(1);
            let proof = self.proof(user, from)?;
            let step = user.output.step("Showing the proof");
            match finish(&pending, proof).await {
                Err(error) if left > 0 && error.is(Code::SignInRefused) => {
                    drop(step);
                    user.output.say("That was not the code; try again.");
                }
                outcome => break outcome.map_err(|error| self.refused(&error)),
            }
        }
    }

    /// Says what to do of a refusal in the words of what was tried.
    fn refused(&self, error: &ClientError) -> CliError {
        let told = CliError::of(error);
        if !error.is(Code::SignInRefused) {
            return told;
        }
        let what_to_do = match self {
            Self::Email { .. } => return told,
            Self::Password { .. } => {
                "Try again, or set a new password: keyfold sign-in --email … --set-password"
            }
            Self::Provider { .. } => "Begin again: what a provider sends back works once.",
            Self::Token { .. } => "Get a new token for this device and try again.",
            Self::Totp => "Try again with the app's next code, after up to 30 seconds.",
            Self::RecoveryCode => "Each code works once; try another.",
        };
        CliError {
            what_to_do: what_to_do.to_owned(),
            ..told
        }
    }
}

/// The query of an address, or what was posted, as it is.
fn query_of(came_back: &str) -> &str {
    let query = came_back
        .split_once('?')
        .map_or(came_back, |(_, query)| query);
    query.split('#').next().unwrap_or_default()
}

/// Asks twice where nobody sees what is typed.
fn new_password(user: &User, from: Sources) -> Result<SecretText, CliError> {
    let password = secret(user, "New password", from.password)?;
    if !from.password && *secret(user, "Again", false)? != *password {
        return Err(CliError::usage(
            "the passwords differ",
            "Begin again; nothing was changed.",
        ));
    }
    Ok(password)
}

/// Reads a line that may be seen.
pub(crate) fn line(
    user: &User,
    what: &str,
    quietly: bool,
    most: u64,
) -> Result<SecretText, CliError> {
    if !quietly {
        user.output.say(&format!("{what}:"));
    }
    let mut text = Zeroizing::new(String::new());
    let read = std::io::stdin().lock().take(most).read_line(&mut text);
    given(what, read.is_ok(), text.trim())
}

/// Reads a code of an app.
pub(crate) fn totp_code(user: &User, quietly: bool) -> Result<SecretText, CliError> {
    Way::Totp.check_askable(
        user,
        Sources {
            code: quietly,
            password: false,
            callback: false,
        },
        false,
    )?;
    line(user, "Code of your app", quietly, MAX_LINE)
}

/// Reads a line that nobody is to see. White space in it counts.
fn secret(user: &User, what: &str, quietly: bool) -> Result<SecretText, CliError> {
    if quietly {
        let mut text = Zeroizing::new(String::new());
        let read = std::io::stdin().lock().take(MAX_LINE).read_line(&mut text);
        return given(what, read.is_ok(), text.trim_end_matches(['\r', '\n']));
    }
    user.output.say(&format!("{what}:"));
    let read = console::Term::stderr().read_secure_line();
    let text = Zeroizing::new(read.unwrap_or_default());
    given(what, true, &text)
}

fn given(what: &str, read: bool, text: &str) -> Result<SecretText, CliError> {
    if read && !text.is_empty() {
        return Ok(text.to_owned().into());
    }
    Err(CliError::usage(
        format!("nothing was given for: {}", what.to_lowercase()),
        "Begin again and type it.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_address_that_somebody_came_back_to_the_query_is_shown() {
        for (came_back, query) in [
            ("https://app.example/c?code=a&state=b", "code=a&state=b"),
            (
                "https://app.example/c?code=a%3Fb&state=b#frag?ment",
                "code=a%3Fb&state=b",
            ),
            ("code=a&state=b", "code=a&state=b"),
            ("https://app.example/c?", ""),
        ] {
            assert_eq!(query_of(came_back), query, "{came_back}");
        }
    }
}
