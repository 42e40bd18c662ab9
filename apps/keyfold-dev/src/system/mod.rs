//! The whole system as real processes on loopback, for the demo, the benchmark and tests.
//!
//! [`System::start`] prepares a folder, starts every process, makes a realm and its projects, and
//! puts the contracts on the chain. Any process can be stopped, killed, paused and started again at
//! any moment, on the same ports and data. Nothing outlives the system's owner.

mod chain;
mod error;
mod files;
mod mailbox;
mod options;
pub(crate) mod pki;
mod plan;
mod ports;
mod process;
mod record;
mod start;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::Address;
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use keyfold_client::{Client, GuardRule, RealmPin, Session, WalletRules};
use keyfold_crypto::jwk::DeviceSigningKey;
use keyfold_net::SpkiPin;
use keyfold_protocol::client_api::GuardSettings;
use keyfold_protocol::ids::ProjectId;
use keyfold_wallet::ContextName;

pub use chain::{CHAIN_ID, Chain};
pub use error::{SystemError, chain as chain_of};
pub use files::Files;
pub use keyfold_chain::RpcError;
/// The system's clock and generator.
pub use keyfold_cli::SystemEnvironment as Ambient;
pub use mailbox::{Mail, Mailbox};
pub use options::{
    EnclaveImage, Options, PROJECT, ProjectOptions, TuneGateway, TuneHolder, denied_address,
    open_policy,
};
pub use process::Process;
pub use transport::Https;

use plan::Processes;
use ports::Ports;
use record::Recorder;

/// A device of a user: a client with a key of its own.
pub type Device = Client<Https, Arc<DeviceSigningKey>, Ambient>;

/// For an enclave to serve again after a start, attestation and boot included.
const SERVES_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Which process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A key holder, counted from 0.
    Holder(usize),
    /// The enclave.
    Enclave,
    /// The gateway.
    Gateway,
    /// The guard.
    Guard,
    /// The relayer.
    Relayer,
    /// The EVM node of the first chain.
    Node,
    /// The mail server.
    Mail,
}

/// A project of the system.
#[derive(Debug, Clone)]
pub struct Project {
    /// The app's domain.
    pub id: ProjectId,
    /// Its guard.
    pub guard: Option<GuardSettings>,
    /// The checkpointer of its wallets.
    pub checkpointer: Option<Address>,
    /// The contracts of its wallets.
    pub contracts: ContextName,
    /// Its administrator's key.
    pub administrator: Arc<DeviceSigningKey>,
}

impl Project {
    /// Returns what its app demands of wallets.
    pub fn wallet_rules(&self) -> WalletRules {
        WalletRules {
            guard: match &self.guard {
                Some(guard) => GuardRule::Exactly(guard.signer),
                None => GuardRule::Without,
            },
            checkpointer: self.checkpointer,
            contracts: self.contracts,
        }
    }
}

/// The whole system, running.
#[derive(Debug)]
pub struct System {
    processes: Processes,
    pin: RealmPin,
    gateway: String,
    gateway_pin: SpkiPin,
    projects: Vec<Project>,
    chains: Vec<Chain>,
    mailbox: Mailbox,
    timings: Vec<(String, Duration)>,
    _recorders: Vec<Recorder>,
    // Last, so that they outlive the processes.
    files: Files,
    _ports: Ports,
}

impl System {
    /// Returns one process.
    ///
    /// # Panics
    ///
    /// If there is no holder of this number.
    #[allow(clippy::indexing_slicing)]
    pub fn process(&self, part: Part) -> &Process {
        let processes = &self.processes;
        match part {
            Part::Holder(number) => &processes.holders[number],
            Part::Enclave => &processes.enclave,
            Part::Gateway => &processes.gateway,
            Part::Guard => &processes.guard,
            Part::Relayer => &processes.relayer,
            Part::Node => &processes.nodes[0],
            Part::Mail => &processes.mail,
        }
    }

    /// Returns every process.
    pub fn all_processes(&self) -> Vec<&Process> {
        let Processes {
            nodes,
            mail,
            holders,
            gateway,
            enclave,
            guard,
            relayer,
        } = &self.processes;
        let mut all = vec![gateway, enclave, relayer, guard];
        all.extend(holders);
        all.push(mail);
        all.extend(nodes);
        all
    }

    /// Starts a process again and waits until it serves; an enclave, or a gateway, until clients can
    /// reach an enclave through the gateway.
    ///
    /// # Errors
    ///
    /// [`SystemError`].
    pub async fn start_again(&self, part: Part) -> Result<(), SystemError> {
        self.process(part).start().await?;
        if matches!(part, Part::Enclave | Part::Gateway) {
            self.until_serving().await?;
        }
        Ok(())
    }

    /// Waits until the enclave serves and the gateway knows.
    ///
    /// # Errors
    ///
    /// [`SystemError`], where that takes longer than half a minute.
    pub async fn until_serving(&self) -> Result<(), SystemError> {
        let client = self.device(&new_key())?;
        until_serving(&client, &self.files, self.process(Part::Enclave)).await
    }

    /// Returns the folder of the run.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Returns the first chain's EVM node.
    ///
    /// # Panics
    ///
    /// Never: a system has a chain.
    #[allow(clippy::indexing_slicing)]
    pub fn chain(&self) -> &Chain {
        &self.chains[0]
    }

    /// Returns every chain's EVM node, in the order of the options.
    pub fn chains(&self) -> &[Chain] {
        &self.chains
    }

    /// Returns the received mails.
    pub fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Returns the projects, in the order of the options.
    pub fn projects(&self) -> &[Project] {
        &self.projects
    }

    /// Returns the first project.
    ///
    /// # Panics
    ///
    /// If the options named none.
    #[allow(clippy::indexing_slicing)]
    pub fn project(&self) -> &Project {
        &self.projects[0]
    }

    /// Returns what clients are told to trust.
    pub fn pin(&self) -> &RealmPin {
        &self.pin
    }

    /// Returns `host:port` of the gateway.
    pub fn gateway(&self) -> &str {
        &self.gateway
    }

    /// Returns the pin of the gateway's TLS key.
    pub fn gateway_pin(&self) -> SpkiPin {
        self.gateway_pin
    }

    /// Returns how long each step of the start took; some ran side by side.
    pub fn timings(&self) -> &[(String, Duration)] {
        &self.timings
    }

    /// Makes a way to the gateway, with connections of its own.
    ///
    /// # Errors
    ///
    /// [`SystemError`].
    pub fn transport(&self) -> Result<Https, SystemError> {
        Https::new(&self.gateway, self.gateway_pin)
    }

    /// Makes a client for a device's key.
    ///
    /// # Errors
    ///
    /// [`SystemError`].
    pub fn device(&self, key: &Arc<DeviceSigningKey>) -> Result<Device, SystemError> {
        let client = Client::new(
            self.pin.clone(),
            self.transport()?,
            Arc::clone(key),
            Ambient,
        );
        Ok(client)
    }

    /// Makes a client with a fresh key, as on a new device, for a project's users.
    ///
    /// # Errors
    ///
    /// [`SystemError`].
    pub fn new_device(&self, project: &Project) -> Result<Device, SystemError> {
        let device = self.device(&new_key())?;
        Ok(device.with_wallet_rules(project.wallet_rules()))
    }

    /// Signs a device in with the code that arrives by mail.
    ///
    /// # Errors
    ///
    /// [`SystemError`], with what the client said.
    pub async fn sign_in(
        &self,
        device: &Device,
        project: &Project,
        email: &str,
    ) -> Result<Session, SystemError> {
        let seen = self.mailbox.codes(email)?.len();
        let what = || format!("sign {email} in");
        let pending = device
            .start_email(&project.id, email)
            .await
            .map_err(SystemError::step(what()))?;
        let mail = self.mailbox.wait(email, seen).await?;
        let code = mail.code().ok_or_else(|| SystemError::Step {
            what: what(),
            problem: format!("there is no code in {}", mail.path.display()),
        })?;
        device
            .finish_email(&pending, code, "loopback")
            .await
            .map_err(SystemError::step(what()))
    }

    /// Returns the address that the default policies deny.
    pub fn denied(&self) -> Address {
        denied_address()
    }

    /// Ends every process in order: asked first, killed where it does not end within five seconds.
    pub async fn shutdown(self) {
        // The gateway first: it finishes what is under way while the others still answer.
        self.process(Part::Gateway).stop().await;
        let mut ending = tokio::task::JoinSet::new();
        let Processes {
            nodes,
            mail,
            holders,
            enclave,
            guard,
            relayer,
            ..
        } = self.processes;
        for process in [mail, enclave, guard, relayer]
            .into_iter()
            .chain(holders)
            .chain(nodes)
        {
            ending.spawn(async move { process.stop().await });
        }
        while ending.join_next().await.is_some() {}
    }
}

/// Draws a device's key.
pub fn new_key() -> Arc<DeviceSigningKey> {
    Arc::new(DeviceSigningKey::generate_p256(&mut UnwrapErr(SysRng)))
}

/// Waits until the enclave serves and the gateway knows.
async fn until_serving(
    client: &Device,
    files: &Files,
    enclave: &Process,
) -> Result<(), SystemError> {
    let serving = async {
        loop {
            if let Ok(status) = keyfold_gateway_service::status(&files.inbound()).await
                && status.ready
                && let Ok(instances) = client.instances().await
                && instances.contains(&status.instance)
            {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let waited = tokio::time::timeout(SERVES_WITHIN, serving).await;
    waited.map_err(|_| SystemError::NotReady {
        name: enclave.name().to_owned(),
        seconds: SERVES_WITHIN.as_secs(),
        tail: enclave.tail(),
        log: enclave.log().to_owned(),
    })
}
