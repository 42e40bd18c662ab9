//! Projects: made, shown, changed by commands of their administrators.

use alloy_primitives::Address;
use keyfold_crypto::Canonical as _;
use keyfold_crypto::jwk::PublicJwk;
use keyfold_protocol::client_api::{CreateProject, GuardSettings, MailSettings, ProjectInfo, path};
use keyfold_protocol::ids::{Digest32, ProjectId, Signature64};
use keyfold_protocol::intent::Operation;
use keyfold_protocol::project::SignInSettings;
use keyfold_protocol::project_command::{
    Approval, ChangeProject, MAX_COMMAND_SECONDS, ProjectChange, ProjectChanged, ProjectCommand,
    ProjectShown, SecretReveal, ShowProject, SignedCommand,
};
use keyfold_protocol::secret_text::SecretText;
use keyfold_wallet::ContextName;

use crate::client::Client;
use crate::environment::{Credential, Environment, Transport};
use crate::error::ClientError;

/// Left of a command's longest time, for clocks that do not agree.
const CLOCK_SECONDS: u64 = 600;

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

    /// Shows a project that this device administers: everything but its secrets.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; `project_unknown` also where the project is somebody else's.
    pub async fn show_project(&self, project: &ProjectId) -> Result<ProjectShown, ClientError> {
        let body = ShowProject {
            administrator: self.credential.public_jwk(),
        };
        let intent = self.plain(Operation::ShowProject)?;
        let (shown, _): (ProjectShown, _) = self
            .call_before_session(path::PROJECT_SHOW, intent, project, &body, None)
            .await?;
        if shown.project != *project {
            return Err(ClientError::UnexpectedReply(path::PROJECT_SHOW));
        }
        Ok(shown)
    }

    /// Makes a command that follows a version of a project, good for `seconds`, at most a week less
    /// ten minutes, and approves it. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unsendable`] for a change that is not of its form.
    pub async fn propose(
        &self,
        project: &ProjectId,
        follows: u64,
        seconds: u64,
        change: ProjectChange,
    ) -> Result<SignedCommand, ClientError> {
        change
            .read()
            .map_err(|_| ClientError::Unsendable("this change"))?;
        let seconds = seconds.min(MAX_COMMAND_SECONDS - CLOCK_SECONDS);
        let command = ProjectCommand {
            realm: self.pin.realm,
            project: project.clone(),
            follows,
            expires: self.now_seconds().saturating_add(seconds),
            change,
        };
        let signed = SignedCommand {
            command,
            approvals: Vec::new(),
        };
        self.approve_command(signed).await
    }

    /// Puts this device's signature under a command. Nothing is sent.
    ///
    /// Whoever calls this has shown to a person what the command changes.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unsendable`] for a command of another realm.
    pub async fn approve_command(
        &self,
        mut signed: SignedCommand,
    ) -> Result<SignedCommand, ClientError> {
        if signed.command.realm != self.pin.realm {
            return Err(ClientError::Unsendable("a command for another realm"));
        }
        let message = signed.command.to_signed_bytes();
        let signature = Signature64(self.credential.sign(&message).await?);
        let key = self.device();
        signed.approvals.retain(|approval| approval.key != key);
        signed.approvals.push(Approval { key, signature });
        Ok(signed)
    }

    /// Hands over a command that enough administrators have signed, with the secret where it is
    /// about one. The same command may be handed over again when the answer was lost.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn change_project(
        &self,
        signed: &SignedCommand,
        secret: Option<SecretReveal>,
    ) -> Result<ProjectChanged, ClientError> {
        let body = ChangeProject {
            administrator: self.credential.public_jwk(),
            signed: signed.clone(),
            secret,
        };
        let intent = self.plain(Operation::ChangeProject)?;
        let project = &signed.command.project;
        let (changed, _): (ProjectChanged, _) = self
            .call_before_session(path::PROJECT_CHANGE, intent, project, &body, None)
            .await?;
        if signed.command.follows.checked_add(1) != Some(changed.version) {
            return Err(ClientError::UnexpectedReply(path::PROJECT_CHANGE));
        }
        Ok(changed)
    }

    /// Hides a secret behind a salt of its own: a command names it by
    /// [`SecretReveal::commitment`].
    ///
    /// # Errors
    ///
    /// [`ClientError::Environment`].
    pub fn hide_secret(&self, value: SecretText) -> Result<SecretReveal, ClientError> {
        let mut salt = [0; 32];
        self.environment.fill_random(&mut salt)?;
        Ok(SecretReveal {
            value,
            salt: Digest32::from_bytes(salt),
        })
    }

    /// Returns the key that this device administers projects with.
    pub fn public_key(&self) -> PublicJwk {
        self.credential.public_jwk()
    }
}
