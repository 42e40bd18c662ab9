//! Making a project.

use alloy_primitives::Address;
use keyfold_protocol::client_api::{CreateProject, GuardSettings, MailSettings, ProjectInfo, path};
use keyfold_protocol::ids::ProjectId;
use keyfold_protocol::intent::Operation;
use keyfold_protocol::project::SignInSettings;
use keyfold_wallet::ContextName;

use crate::client::Client;
use crate::environment::{Credential, Environment, Transport};
use crate::error::ClientError;

/// What a new project may do. Its administrator is the device that asks.
#[derive(Debug, Clone)]
pub struct NewProject {
    /// The app's domain.
    pub project: ProjectId,
    /// Shown in mails.
    pub display_name: String,
    /// How codes are mailed.
    pub mail: MailSettings,
    /// The guard, where the project has one.
    pub guard: Option<GuardSettings>,
    /// The checkpointer contract of every new wallet, where they have one.
    pub checkpointer: Option<Address>,
    /// The contracts of every new wallet.
    pub contracts: ContextName,
    /// How people sign in.
    pub sign_in: SignInSettings,
}

impl<T: Transport, C: Credential, E: Environment> Client<T, C, E> {
    /// Makes a project, administered by this device.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn create_project(&self, new: NewProject) -> Result<ProjectInfo, ClientError> {
        let body = CreateProject {
            project: new.project,
            display_name: new.display_name,
            administrator: self.credential.public_jwk(),
            mail: new.mail,
            guard: new.guard,
            checkpointer: new.checkpointer,
            contracts: new.contracts,
            sign_in: new.sign_in,
        };
        let intent = self.plain(Operation::CreateProject)?;
        let (info, _): (ProjectInfo, _) = self
            .call_before_session(path::PROJECT_CREATE, intent, &body.project, &body, None)
            .await?;
        if info.project != body.project || info.contracts != body.contracts {
            return Err(ClientError::UnexpectedReply(path::PROJECT_CREATE));
        }
        Ok(info)
    }
}
