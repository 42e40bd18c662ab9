//! The account's devices.

use keyfold_crypto::jwk::Thumbprint;
use keyfold_protocol::client_api::{ApproveDevice, DeviceInfo, Devices, Nothing, path};
use keyfold_protocol::intent::{Intent, Operation};

use crate::client::{Client, json};
use crate::environment::{Credential, Environment, Transport};
use crate::error::ClientError;
use crate::session::Session;

impl<T: Transport, C: Credential, E: Environment> Client<T, C, E> {
    /// Lists the account's devices, oldest first.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn devices(&self, session: &Session) -> Result<Vec<DeviceInfo>, ClientError> {
        let intent = self.plain(Operation::ListDevices)?;
        let Devices { devices } = self
            .call_in_session(session, path::DEVICE_LIST, intent, json(&Nothing {})?)
            .await?;
        Ok(devices)
    }

    /// Lets a pending device act for the account, from this device, which may already.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn approve_device(
        &self,
        session: &Session,
        device: Thumbprint,
    ) -> Result<(), ClientError> {
        let intent = Intent::ApproveDevice {
            id: self.request_id()?,
            device,
        };
        let body = json(&ApproveDevice { device })?;
        let Nothing {} = self
            .call_in_session(session, path::DEVICE_APPROVE, intent, body)
            .await?;
        Ok(())
    }
}
