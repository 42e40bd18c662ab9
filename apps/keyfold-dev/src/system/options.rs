//! What a system shall be.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use alloy_primitives::Address;
use keyfold_gateway_service::{EgressTarget, GatewayConfig};
use keyfold_guard::Policy;
use keyfold_guard::policy::{ChainRules, Messages, POLICY_VERSION, Recipients};
use keyfold_holder_service::HolderConfig;
use keyfold_protocol::client_api::MailSecurity;
use keyfold_protocol::config::ChangeKind;
use keyfold_protocol::project::SignInSettings;
use keyfold_wallet::ContextName;

use crate::system::{CHAIN_ID, SystemError};

/// The first project, where nothing else is said.
pub const PROJECT: &str = "app.example";

/// Changes a holder's configuration; is given its number, from 0.
pub type TuneHolder = Arc<dyn Fn(usize, &mut HolderConfig) + Send + Sync>;
/// Changes the gateway's configuration.
pub type TuneGateway = Arc<dyn Fn(&mut GatewayConfig) + Send + Sync>;

/// A project that the system begins with.
#[derive(Debug, Clone)]
pub struct ProjectOptions {
    /// The app's domain.
    pub id: String,
    /// What its guard lets pass; without one, it has no guard.
    pub policy: Option<Policy>,
    /// Whether its wallets have the realm's checkpointer, which is put on every chain then.
    pub checkpointer: bool,
    /// The contracts of its wallets. The chains have Keyfold's own.
    pub contracts: ContextName,
    /// How people sign in.
    pub sign_in: SignInSettings,
}

impl ProjectOptions {
    /// Names a project and what its guard lets pass; its wallets have no checkpointer and Keyfold's
    /// contracts.
    pub fn new(id: &str, policy: Option<Policy>) -> Self {
        Self {
            id: id.to_owned(),
            policy,
            checkpointer: false,
            contracts: ContextName::Keyfold,
            sign_in: SignInSettings::default(),
        }
    }
}

/// What a system shall be. [`Options::new`] is 2 of 3 holders and one project with a guard.
#[derive(Clone)]
pub struct Options {
    /// `keyfold-dev`, or a program with the same `role` commands.
    pub program: PathBuf,
    /// Where everything goes; a temporary folder where absent.
    pub folder: Option<PathBuf>,
    /// How many holders.
    pub holders: u8,
    /// How many of them must agree.
    pub threshold: u8,
    /// The chains, one or two, each with a node of its own and all contracts.
    pub chains: Vec<u64>,
    /// The projects.
    pub projects: Vec<ProjectOptions>,
    /// How TLS with the mail server begins; it takes no mail in any other way.
    pub mail_security: MailSecurity,
    /// Servers that the enclave may reach besides its own system's, by name, and where they are.
    pub egress: Vec<EgressTarget>,
    /// The image that is the enclave, and what it runs on; a process on the development platform where
    /// absent.
    pub image: Option<EnclaveImage>,
    /// Whether to record what passes the host on the enclave's pipes.
    pub record_traffic: bool,
    /// Levels of the processes' logs.
    pub log: String,
    /// Changes holders before they are made.
    pub tune_holder: Option<TuneHolder>,
    /// Changes the gateway before it is made.
    pub tune_gateway: Option<TuneGateway>,
    /// A folder with `anvil` and `cast` in `.bin`, and the mail server's package.
    pub tools: PathBuf,
    /// The mail server's script.
    pub mail_server: PathBuf,
}

/// An enclave image in QEMU.
#[derive(Debug, Clone)]
pub struct EnclaveImage {
    /// The image file.
    pub image: PathBuf,
    /// The folder that `tools/enclave/qemu.sh` made.
    pub qemu: PathBuf,
}

impl Options {
    /// Takes the program that runs the roles; tools are found by `KEYFOLD_TOOLS` and
    /// `KEYFOLD_SMTP_SINK`, or where this checkout's `tools/setup.sh` puts them.
    ///
    /// # Errors
    ///
    /// [`SystemError::Missing`] if the tools were not installed.
    pub fn new(program: impl Into<PathBuf>) -> Result<Self, SystemError> {
        let from_environment = |name| std::env::var_os(name).map(PathBuf::from);
        let tools = from_environment("KEYFOLD_TOOLS").unwrap_or_else(|| {
            let cache = from_environment("KEYFOLD_CACHE").unwrap_or_else(|| {
                from_environment("HOME")
                    .unwrap_or_default()
                    .join(".cache/keyfold")
            });
            cache.join("npm/node_modules")
        });
        let mail_server = from_environment("KEYFOLD_SMTP_SINK").unwrap_or_else(|| {
            let here: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", ".."].iter().collect();
            here.join("tools/smtp-sink.mjs")
        });
        let needed = [
            ("anvil", tools.join(".bin/anvil")),
            ("cast", tools.join(".bin/cast")),
            ("the npm package smtp-server", tools.join("smtp-server")),
            ("the mail server's script", mail_server.clone()),
        ];
        for (what, path) in needed {
            if !path.exists() {
                return Err(SystemError::Missing { what, path });
            }
        }
        Ok(Self {
            program: program.into(),
            folder: None,
            holders: 3,
            threshold: 2,
            chains: vec![CHAIN_ID],
            projects: vec![ProjectOptions::new(PROJECT, Some(open_policy()))],
            mail_security: MailSecurity::default(),
            egress: Vec::new(),
            image: None,
            record_traffic: false,
            log: "info".to_owned(),
            tune_holder: None,
            tune_gateway: None,
            tools,
            mail_server,
        })
    }

    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        self.tools.join(".bin").join(name)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("program", &self.program)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// A policy for trying things out: coins to anybody but one address, texts signed, no contract.
pub fn open_policy() -> Policy {
    Policy {
        version: POLICY_VERSION,
        revision: 1,
        deny: vec![denied_address()],
        config_changes: ChangeKind::ALL.map(|(kind, _)| kind).to_vec(),
        chains: vec![ChainRules {
            ids: vec![CHAIN_ID],
            native: Recipients::Anybody,
            messages: Messages::Text,
            ..ChainRules::default()
        }],
    }
}

/// The address that [`open_policy`] denies.
pub fn denied_address() -> Address {
    Address::repeat_byte(0xde)
}
