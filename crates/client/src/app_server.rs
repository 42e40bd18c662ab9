//! What an app's own server gets and asks.

use keyfold_protocol::app_server::{IdToken, Introspect, Introspection, IssueIdToken};
use keyfold_protocol::client_api::path;
use keyfold_protocol::ids::ProjectId;
use keyfold_protocol::intent::Operation;
use keyfold_protocol::session::Nonce;

use crate::client::{Client, json};
use crate::environment::{Credential, Environment, Transport};
use crate::error::ClientError;
use crate::session::Session;

impl<T: Transport, C: Credential, E: Environment> Client<T, C, E> {
    /// Asks for an ID token of the session, for the app to bring its own server.
    ///
    /// `nonce` is what that server gave for this very token and will look for in it.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn id_token(
        &self,
        session: &Session,
        nonce: Option<Nonce>,
    ) -> Result<IdToken, ClientError> {
        let intent = self.plain(Operation::IssueIdToken)?;
        let body = json(&IssueIdToken { nonce })?;
        self.call_in_session(session, path::ID_TOKEN, intent, body)
            .await
    }

    /// Asks whether the session of a token still stands: a session attestation or an ID token.
    ///
    /// For an app's server: this client's credential is one of those that the project's settings list.
    ///
    /// # Errors
    ///
    /// [`ClientError`]. A token that is good for nothing is no error but [`Introspection::Inactive`].
    pub async fn introspect(
        &self,
        project: &ProjectId,
        token: &str,
    ) -> Result<Introspection, ClientError> {
        let intent = self.plain(Operation::Introspect)?;
        let body = Introspect {
            token: token.to_owned(),
            server: self.credential.public_jwk(),
        };
        let (told, _): (Introspection, _) = self
            .call_before_session(path::INTROSPECT, intent, project, &body, None)
            .await?;
        let foreign = matches!(&told, Introspection::Active(token) if token.aud != *project);
        if foreign {
            return Err(ClientError::UnexpectedReply(path::INTROSPECT));
        }
        Ok(told)
    }
}
