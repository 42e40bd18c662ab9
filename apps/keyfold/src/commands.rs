//! What each command does.

pub(crate) mod account;
pub(crate) mod app_server;
pub(crate) mod attest;
pub(crate) mod config;
pub(crate) mod devices;
pub(crate) mod holders;
pub(crate) mod operator;
pub(crate) mod profile;
pub(crate) mod project;
pub(crate) mod proof;
pub(crate) mod rpc;
pub(crate) mod send;
pub(crate) mod sessions;
pub(crate) mod sign;
pub(crate) mod sign_in;
pub(crate) mod status;
pub(crate) mod transaction;
pub(crate) mod wallet;

use std::sync::atomic::{AtomicBool, Ordering};

use keyfold_client::{Session, Wallet};

use crate::connect::{CliClient, connect};
use crate::error::CliError;
use crate::output::Output;
use crate::profile::Profile;
use crate::roots::Roots;
use crate::state::StateDir;

/// What every command of a user has.
pub(crate) struct User {
    pub(crate) profile: Profile,
    pub(crate) client: CliClient,
    pub(crate) state: StateDir,
    pub(crate) output: Output,
    /// One full disk is one warning.
    warned: AtomicBool,
}

impl User {
    pub(crate) fn new(profile: Profile, roots: &Roots, output: Output) -> Result<Self, CliError> {
        let client = connect(&profile, roots)?;
        let state = StateDir::new(&profile.state);
        Ok(Self {
            profile,
            client,
            state,
            output,
            warned: AtomicBool::new(false),
        })
    }

    /// Returns the session, or says that there is none.
    pub(crate) fn session(&self) -> Result<Session, CliError> {
        self.state.session()?.ok_or_else(CliError::not_signed_in)
    }

    /// Stores the session again, whatever became of the command: it may have been renewed.
    ///
    /// Where it cannot be stored, that is a warning: what was done is done, and its outcome must
    /// reach whoever asked.
    pub(crate) fn keep<T>(
        &self,
        session: &Session,
        outcome: Result<T, keyfold_client::ClientError>,
    ) -> Result<T, CliError> {
        self.keep_whatever(session, outcome.map_err(CliError::from))
    }

    /// As [`Self::keep`], of what has its words already.
    pub(crate) fn keep_whatever<T>(
        &self,
        session: &Session,
        outcome: Result<T, CliError>,
    ) -> Result<T, CliError> {
        if let Err(error) = self.store(session) {
            self.warn(&error);
        }
        outcome
    }

    /// Warns of what keeps the outcome from being remembered, once.
    pub(crate) fn warn(&self, error: &CliError) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            let CliError {
                code,
                message,
                what_to_do,
                ..
            } = error;
            self.output.tell(&format!(
                "warning: {} [{code}] {what_to_do}",
                crate::output::printable(message)
            ));
        }
    }

    /// Stores the session, and what was learned of its account beyond it.
    pub(crate) fn store(&self, session: &Session) -> Result<(), CliError> {
        self.state
            .store_known_wallets(&self.client.known_wallets())?;
        Ok(self.state.store_session(session)?)
    }

    /// Returns the chain that was named, or the profile's.
    pub(crate) fn chain(&self, named: Option<u64>) -> Result<u64, CliError> {
        named.or(self.profile.file.chain).ok_or_else(|| {
            CliError::usage(
                "no chain is named",
                "Use --chain, or set chain in the profile.",
            )
        })
    }

    /// Returns the project that was named, or the profile's.
    pub(crate) fn project(
        &self,
        named: Option<keyfold_client::ids::ProjectId>,
    ) -> Result<keyfold_client::ids::ProjectId, CliError> {
        named
            .or_else(|| self.profile.file.project.clone())
            .ok_or_else(|| {
                CliError::usage(
                    "no project is named",
                    "Use --project, or set project in the profile.",
                )
            })
    }

    /// Finds a wallet by its label.
    pub(crate) async fn wallet(&self, session: &Session, label: &str) -> Result<Wallet, CliError> {
        let wallets = self.keep(session, self.client.wallets(session).await)?;
        wallets
            .into_iter()
            .find(|wallet| wallet.label() == label)
            .ok_or_else(|| {
                CliError::refused(
                    keyfold_protocol::error_code::Code::WalletUnknown,
                    format!(
                        "the account has no wallet \"{}\"",
                        crate::output::printable(label)
                    ),
                    "List the wallets (keyfold wallet list), or make it (keyfold wallet create).",
                )
            })
    }
}
