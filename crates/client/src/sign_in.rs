//! Sign-in by email code.

use keyfold_protocol::client_api::{EmailFinish, EmailStart, SignInStarted, SignedIn, path};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::ids::{Digest32, InstanceId, ProjectId, SignInHandle};
use keyfold_protocol::intent::Operation;

use crate::client::Client;
use crate::environment::{Credential, Environment, Transport};
use crate::error::ClientError;
use crate::known::who;
use crate::session::Session;
use crate::wallet::Wallet;

/// A sign-in that waits for its code. It lives in the memory of one enclave instance.
#[derive(Debug, Clone)]
pub struct PendingSignIn {
    who: Digest32,
    project: ProjectId,
    instance: InstanceId,
    sign_in: SignInHandle,
    expires: u64,
}

impl PendingSignIn {
    /// Returns when the code expires, in Unix seconds.
    pub fn expires(&self) -> u64 {
        self.expires
    }

    /// Returns the project.
    pub fn project(&self) -> &ProjectId {
        &self.project
    }
}

impl<T: Transport, C: Credential, E: Environment> Client<T, C, E> {
    /// Asks for a code by mail. The answer is the same whether the address is known or not.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn start_email(
        &self,
        project: &ProjectId,
        email: &str,
    ) -> Result<PendingSignIn, ClientError> {
        let body = EmailStart {
            email: email.to_owned(),
            device: self.credential.public_jwk(),
        };
        let intent = self.plain(Operation::SignInStart)?;
        let (started, instance): (SignInStarted, _) = self
            .call_before_session(path::EMAIL_START, intent, project, &body, None)
            .await?;
        Ok(PendingSignIn {
            who: who(self.pin.realm, project, email),
            project: project.clone(),
            instance,
            sign_in: started.sign_in,
            expires: started.expires,
        })
    }

    /// Shows the code and gets a session. A wrong code may be corrected: call again, three times at
    /// most.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; [`ClientError::SignInGone`] if the instance has ended meanwhile;
    /// [`ClientError::AccountChanged`] and [`WalletRefused::Changed`](crate::WalletRefused::Changed)
    /// if this device was told otherwise before.
    pub async fn finish_email(
        &self,
        pending: &PendingSignIn,
        code: &str,
        device_name: &str,
    ) -> Result<Session, ClientError> {
        let body = EmailFinish {
            sign_in: pending.sign_in,
            code: code.to_owned().into(),
            device: self.credential.public_jwk(),
            device_name: device_name.to_owned(),
        };
        let intent = self.plain(Operation::SignInFinish)?;
        let wanted = Some(pending.instance);
        let outcome: Result<(SignedIn, _), _> = self
            .call_before_session(path::EMAIL_FINISH, intent, &pending.project, &body, wanted)
            .await;
        let (signed_in, _) = outcome.map_err(|error| {
            if error.is(Code::UnknownInstance) {
                ClientError::SignInGone
            } else {
                error
            }
        })?;
        let before = self.known().account(&pending.who);
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
        self.known().keep_account(pending.who, session.account());
        Ok(session)
    }
}
