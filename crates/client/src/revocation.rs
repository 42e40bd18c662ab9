//! The end of devices and of other sessions.

use keyfold_crypto::jwk::Thumbprint;
use keyfold_protocol::client_api::{
    Nothing, Revocation, RevokeDevice, RevokeSession, Revoked, SessionInfo, Sessions, path,
};
use keyfold_protocol::ids::SessionId;
use keyfold_protocol::intent::{Intent, Operation};

use crate::client::{Client, json};
use crate::environment::{Credential, Environment, Transport};
use crate::error::ClientError;
use crate::session::Session;

/// Each answers `Pending` while too few key holders have stored it, so that it does not count yet:
/// ask again. What was done already is `Done` again.
impl<T: Transport, C: Credential, E: Environment> Client<T, C, E> {
    /// Takes a device off the account for good, with its sessions. It may be this one.
    ///
    /// Its key never comes back to this account, whoever signs in with it or approves it.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; `device_pending` where this device may not act yet and it is another one's
    /// end.
    pub async fn revoke_device(
        &self,
        session: &Session,
        device: Thumbprint,
    ) -> Result<Revocation, ClientError> {
        let intent = Intent::RevokeDevice {
            id: self.request_id()?,
            device,
        };
        let body = json(&RevokeDevice { device })?;
        let Revoked { state } = self
            .call_in_session(session, path::DEVICE_REVOKE, intent, body)
            .await?;
        Ok(state)
    }

    /// Takes every device off the account but this one, likewise.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn revoke_other_devices(&self, session: &Session) -> Result<Revocation, ClientError> {
        let intent = self.plain(Operation::RevokeDevices)?;
        let body = json(&Nothing {})?;
        let Revoked { state } = self
            .call_in_session(session, path::DEVICE_REVOKE_OTHERS, intent, body)
            .await?;
        Ok(state)
    }

    /// Lists the account's sessions that did not end yet, oldest first.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn sessions(&self, session: &Session) -> Result<Vec<SessionInfo>, ClientError> {
        let intent = self.plain(Operation::ListSessions)?;
        let Sessions { sessions } = self
            .call_in_session(session, path::SESSION_LIST, intent, json(&Nothing {})?)
            .await?;
        Ok(sessions)
    }

    /// Ends a session of the account. Its device stays, and may sign in again.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn revoke_session(
        &self,
        session: &Session,
        ended: SessionId,
    ) -> Result<Revocation, ClientError> {
        let intent = Intent::RevokeSession {
            id: self.request_id()?,
            session: ended,
        };
        let body = json(&RevokeSession { session: ended })?;
        let Revoked { state } = self
            .call_in_session(session, path::SESSION_REVOKE, intent, body)
            .await?;
        Ok(state)
    }
}
