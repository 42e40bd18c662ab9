//! Sign-in: two steps, the same for every method.

use keyfold_crypto::binding;
use keyfold_protocol::client_api::{SignedIn, path};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::ids::{Digest32, InstanceId, ProjectId, SignInHandle};
use keyfold_protocol::intent::{Intent, Operation};
use keyfold_protocol::sign_in::{Method, Next, Proof, SignInFinish, SignInStart, SignInStarted};

use crate::client::Client;
use crate::environment::{Credential, Environment, Transport};
use crate::error::ClientError;
use crate::known::who;
use crate::session::Session;
use crate::wallet::Wallet;

/// A sign-in that waits for its proof. It lives in the memory of one enclave instance.
#[derive(Debug, Clone)]
pub struct PendingSignIn {
    /// Whom the person says to be, where that is known before it is proved.
    who: Option<Digest32>,
    project: ProjectId,
    instance: InstanceId,
    sign_in: SignInHandle,
    expires: u64,
    next: Next,
}

impl PendingSignIn {
    /// Returns what has to be done before the second step.
    pub fn next(&self) -> &Next {
        &self.next
    }

    /// Returns when it is over, in Unix seconds.
    pub fn expires(&self) -> u64 {
        self.expires
    }

    pub(crate) fn handle(&self) -> SignInHandle {
        self.sign_in
    }

    pub(crate) fn instance(&self) -> InstanceId {
        self.instance
    }

    /// Returns the project.
    pub fn project(&self) -> &ProjectId {
        &self.project
    }
}

/// A nonce for the app's own issuer to put into a token, which makes it one of this device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenNonce {
    /// What the issuer is asked to write: 43 characters.
    pub nonce: String,
    /// What it was computed with, for [`Method::Token`]. No secret.
    pub salt: [u8; 32],
}

impl<T: Transport, C: Credential, E: Environment> Client<T, C, E> {
    /// Draws a nonce for a token of the app's own issuer.
    ///
    /// A token that carries it can be shown by this device alone, and lets it in at once at each
    /// holder that trusts the issuer, where the account linked a token of the same person before.
    ///
    /// # Errors
    ///
    /// [`ClientError`] where there is no randomness.
    pub fn token_nonce(&self, project: &ProjectId) -> Result<TokenNonce, ClientError> {
        let mut salt = [0; 32];
        self.environment.fill_random(&mut salt)?;
        Ok(TokenNonce {
            nonce: binding::token_nonce(project.as_str(), &self.device(), &salt),
            salt,
        })
    }

    /// Begins a sign-in. The answer is the same whether somebody is known or not.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn start_sign_in(
        &self,
        project: &ProjectId,
        how: Method,
    ) -> Result<PendingSignIn, ClientError> {
        let who = match &how {
            Method::EmailCode { email } | Method::Password { email } => {
                Some(who(self.pin.realm, project, email))
            }
            _ => None,
        };
        let body = SignInStart {
            how: how.clone(),
            device: self.credential.public_jwk(),
            account: who.and_then(|who| self.known().account(&who)),
        };
        let intent = self.plain(Operation::SignInStart)?;
        let (started, instance): (SignInStarted, _) = self
            .call_before_session(path::SIGN_IN_START, intent, project, &body, None)
            .await?;
        // What was drawn for another device would let that one in.
        if !started.next.is_for(&how, project, &self.device()) {
            return Err(ClientError::UnexpectedReply(path::SIGN_IN_START));
        }
        Ok(PendingSignIn {
            who,
            project: project.clone(),
            instance,
            sign_in: started.sign_in,
            expires: started.expires,
            next: started.next,
        })
    }

    /// Asks for a code by mail.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn start_email(
        &self,
        project: &ProjectId,
        email: &str,
    ) -> Result<PendingSignIn, ClientError> {
        let email = email.to_owned();
        self.start_sign_in(project, Method::EmailCode { email })
            .await
    }

    /// Shows the code and gets a session. A wrong code may be corrected: call again, three times at
    /// most.
    ///
    /// # Errors
    ///
    /// As [`Client::finish_sign_in`].
    pub async fn finish_email(
        &self,
        pending: &PendingSignIn,
        code: &str,
        device_name: &str,
    ) -> Result<Session, ClientError> {
        let proof = Proof::EmailCode {
            code: code.to_owned().into(),
            new_password: None,
        };
        self.finish_sign_in(pending, proof, device_name).await
    }

    /// Shows the proof and gets a session.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; [`ClientError::SignInGone`] if the instance has ended meanwhile;
    /// [`ClientError::AccountChanged`] and [`WalletRefused::Changed`](crate::WalletRefused::Changed)
    /// if this device was told otherwise before.
    pub async fn finish_sign_in(
        &self,
        pending: &PendingSignIn,
        proof: Proof,
        device_name: &str,
    ) -> Result<Session, ClientError> {
        let body = SignInFinish {
            sign_in: pending.sign_in,
            proof,
            device: self.credential.public_jwk(),
            device_name: device_name.to_owned(),
            delivery: self.delivery,
        };
        let intent = match body.proof.is_named() {
            true => Intent::FinishSignIn {
                id: self.request_id()?,
                proof: body.proof.digest(),
            },
            false => self.plain(Operation::SignInFinish)?,
        };
        let wanted = Some(pending.instance);
        let outcome: Result<(SignedIn, _), _> = self
            .call_before_session(
                path::SIGN_IN_FINISH,
                intent,
                &pending.project,
                &body,
                wanted,
            )
            .await;
        let (signed_in, _) = outcome.map_err(|error| {
            if error.is(Code::UnknownInstance) {
                ClientError::SignInGone
            } else {
                error
            }
        })?;
        let before = pending.who.and_then(|who| self.known().account(&who));
        if before.is_some_and(|account| account != signed_in.account) {
            return Err(ClientError::AccountChanged);
        }
        let session = Session::begin(
            self.pin.realm,
            pending.project.clone(),
            self.device(),
            &signed_in,
        );
        for info in signed_in.wallets {
            self.remember(&session, &Wallet::verify(info, &self.rules)?)?;
        }
        if let Some(who) = pending.who {
            self.known().keep_account(who, session.account());
        }
        Ok(session)
    }
}
