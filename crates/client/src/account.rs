//! The account's identities, second factors and step-up.

use keyfold_protocol::account::{
    ConfirmTotp, Identities, RecoveryCodes, SteppedUp, TotpBegun, UnlinkIdentity,
};
use keyfold_protocol::client_api::{Nothing, path};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::ids::Digest32;
use keyfold_protocol::intent::{Intent, Operation};
use keyfold_protocol::project::StepUpRules;
use keyfold_protocol::secret_text::SecretText;
use keyfold_protocol::sign_in::{Proof, ShowProof};

use crate::client::{Client, json};
use crate::environment::{Credential, Environment, Transport};
use crate::error::ClientError;
use crate::session::Session;
use crate::sign_in::PendingSignIn;

impl<T: Transport, C: Credential, E: Environment> Client<T, C, E> {
    /// Steps the session up by a proof that [`Client::start_sign_in`] began; returns until when it
    /// counts, in Unix seconds.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn step_up(
        &self,
        session: &Session,
        pending: &PendingSignIn,
        proof: Proof,
    ) -> Result<u64, ClientError> {
        let intent = self.plain(Operation::StepUp)?;
        let body = ShowProof {
            sign_in: pending.handle(),
            proof,
        };
        let SteppedUp { until } = self
            .show(session, pending, path::STEP_UP, intent, &body)
            .await?;
        Ok(until)
    }

    /// Links the identity that a proof is of to the account.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; `step_up_needed` where the session's own proof is not fresh.
    pub async fn link_identity(
        &self,
        session: &Session,
        pending: &PendingSignIn,
        proof: Proof,
    ) -> Result<Identities, ClientError> {
        let intent = match proof.is_named() {
            true => Intent::LinkIdentity {
                id: self.request_id()?,
                proof: proof.digest(),
            },
            false => self.plain(Operation::LinkIdentity)?,
        };
        let body = ShowProof {
            sign_in: pending.handle(),
            proof,
        };
        self.show(session, pending, path::IDENTITY_LINK, intent, &body)
            .await
    }

    /// Takes an identity off the account.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn unlink_identity(
        &self,
        session: &Session,
        id: Digest32,
    ) -> Result<Identities, ClientError> {
        let intent = Intent::UnlinkIdentity {
            id: self.request_id()?,
            identity: id,
        };
        let body = json(&UnlinkIdentity { id })?;
        self.call_in_session(session, path::IDENTITY_UNLINK, intent, body)
            .await
    }

    /// Lists the account's identities and second factors.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn identities(&self, session: &Session) -> Result<Identities, ClientError> {
        let intent = self.plain(Operation::ListIdentities)?;
        self.call_in_session(session, path::IDENTITY_LIST, intent, json(&Nothing {})?)
            .await
    }

    /// Makes the secret of a second factor: an `otpauth://` address for an app of codes.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn begin_totp(&self, session: &Session) -> Result<SecretText, ClientError> {
        let intent = self.plain(Operation::BeginTotp)?;
        let TotpBegun { uri } = self
            .call_in_session(session, path::TOTP_BEGIN, intent, json(&Nothing {})?)
            .await?;
        Ok(uri)
    }

    /// Enrols the second factor by its first code; returns codes to write down.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn confirm_totp(
        &self,
        session: &Session,
        code: SecretText,
    ) -> Result<Vec<SecretText>, ClientError> {
        let intent = self.plain(Operation::ConfirmTotp)?;
        let body = json(&ConfirmTotp { code })?;
        let RecoveryCodes { codes } = self
            .call_in_session(session, path::TOTP_CONFIRM, intent, body)
            .await?;
        Ok(codes)
    }

    /// Removes the second factor, and the codes on paper with it.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn remove_totp(&self, session: &Session) -> Result<(), ClientError> {
        let intent = self.plain(Operation::RemoveTotp)?;
        let Nothing {} = self
            .call_in_session(session, path::TOTP_REMOVE, intent, json(&Nothing {})?)
            .await?;
        Ok(())
    }

    /// Asks for more step-up than the project does; returns the rules that hold now.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn set_step_up_rules(
        &self,
        session: &Session,
        rules: &StepUpRules,
    ) -> Result<StepUpRules, ClientError> {
        let intent = self.plain(Operation::SetStepUpRules)?;
        self.call_in_session(session, path::STEP_UP_RULES, intent, json(rules)?)
            .await
    }

    /// Shows a proof to the instance that drew what it answers.
    async fn show<R: serde::de::DeserializeOwned>(
        &self,
        session: &Session,
        pending: &PendingSignIn,
        path: &'static str,
        intent: Intent,
        body: &ShowProof,
    ) -> Result<R, ClientError> {
        let wanted = Some(pending.instance());
        self.call_in_session_at(session, path, intent, json(body)?, wanted)
            .await
            .map_err(|error| {
                if error.is(Code::UnknownInstance) {
                    ClientError::SignInGone
                } else {
                    error
                }
            })
    }
}
