//! The roles as processes of their own, with the development root where the release has AWS's.
//!
//! Each prints one JSON line when it is ready, logs on standard error, and ends on SIGTERM, SIGINT
//! and, where it was asked to, with the process that started it.

mod enclave;
mod machine;
mod measure;
mod parent;

use std::error::Error;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use keyfold_attest::{MeasurementPolicy, Measurements, TrustRoot};
use keyfold_gateway_service::GatewayConfig;
use keyfold_guard_service::GuardConfig;
use keyfold_holder_service::HolderConfig;
use keyfold_net::{Confinement, Shutdown, descriptors, dumps, telemetry};
use keyfold_relayer_service::RelayerConfig;
use serde::de::DeserializeOwned;

pub(crate) use measure::measure_image;
pub use measure::{MeasureError, measure};

/// What a role's main function returns.
pub(crate) type Outcome = Result<(), Box<dyn Error>>;

/// Enough for one role on one machine that runs all of them.
const WORKERS: usize = 2;
const MAX_FILE: u64 = 1024 * 1024;

/// A role.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// Run an enclave on the development platform.
    #[command(after_help = "\
Example:
  keyfold-dev role enclave --issuer issuer.pem --inbound in.sock --outbound out.sock")]
    Enclave(EnclaveArguments),
    /// Run an enclave image in QEMU, with a notary before each party that verifies documents.
    #[command(after_help = "\
Example:
  keyfold-dev role machine --qemu ~/qemu --image keyfold.eif --issuer issuer.pem --pipes run \\
      --inbound in.sock --outbound out.sock --verifier 127.0.0.1:7101=h1")]
    Machine(machine::Arguments),
    /// Run a key holder that believes a development root.
    #[command(after_help = "\
Example:
  keyfold-dev role holder --config h1/holder.toml --root root.der")]
    Holder(Attested),
    /// Run a guard that believes a development root.
    #[command(after_help = "\
Example:
  keyfold-dev role guard --config guard.toml --root root.der --measurements measurements.json")]
    Guard(MeasuredArguments),
    /// Run a gateway.
    #[command(after_help = "\
Example:
  keyfold-dev role gateway --config gateway.toml")]
    Gateway(Plain),
    /// Run a relayer.
    #[command(after_help = "\
Example:
  keyfold-dev role relayer --config relayer.toml")]
    Relayer(Plain),
    /// Become another program that is killed when the parent ends.
    Tied {
        /// The program and its arguments.
        #[arg(trailing_var_arg = true, required = true)]
        command: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Plain {
    /// Its configuration file (TOML).
    #[arg(long)]
    config: PathBuf,
    #[command(flatten)]
    parent: Parent,
}

#[derive(Debug, Args)]
pub(crate) struct Attested {
    /// Its configuration file (TOML).
    #[arg(long)]
    config: PathBuf,
    /// Root certificate of attestation documents, DER.
    #[arg(long)]
    root: PathBuf,
    #[command(flatten)]
    parent: Parent,
}

#[derive(Debug, Args)]
pub(crate) struct MeasuredArguments {
    #[command(flatten)]
    attested: Attested,
    /// Approved measurements, a JSON list.
    #[arg(long)]
    measurements: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct EnclaveArguments {
    /// Key and certificate of the development issuer, PEM, mode 0600.
    #[arg(long)]
    issuer: PathBuf,
    /// What its documents claim, JSON; measured from this very program where absent.
    #[arg(long)]
    measurements: Option<PathBuf>,
    /// Socket to listen on for the host.
    #[arg(long)]
    inbound: PathBuf,
    /// The host's socket, for all that leaves.
    #[arg(long)]
    outbound: PathBuf,
    /// Name of the module in its documents.
    #[arg(long, default_value = "i-development-enc0")]
    id: String,
    #[command(flatten)]
    parent: Parent,
}

#[derive(Debug, Args)]
pub(crate) struct Parent {
    /// End when standard input closes, so that no process outlives the one that started it.
    #[arg(long)]
    with_parent: bool,
}

impl Parent {
    fn shutdown(&self) -> std::io::Result<Shutdown> {
        let signals = Shutdown::on_signals()?;
        if self.with_parent {
            parent::also_with_stdin(signals)
        } else {
            Ok(signals)
        }
    }
}

/// Runs a role until it is asked to end.
pub(crate) fn run(role: Role) -> Outcome {
    if let Role::Tied { command } = role {
        return parent::become_tied(&command);
    }
    telemetry::init()?;
    descriptors::raise_limit_or_warn();
    dumps::switch_off_or_warn();
    // Before the runtime has threads, which inherit it.
    if let Some(confinement) = confinement(&role)? {
        confinement.apply_and_log();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match role {
            Role::Enclave(arguments) => enclave::run(arguments).await,
            Role::Machine(arguments) => machine::run(arguments).await,
            Role::Holder(arguments) => holder(arguments).await,
            Role::Guard(arguments) => guard(arguments).await,
            Role::Gateway(arguments) => gateway(arguments).await,
            Role::Relayer(arguments) => relayer(arguments).await,
            Role::Tied { .. } => Ok(()),
        }
    })
}

/// What a role's process needs to touch: what the role itself says, and the files that stand on the
/// command line. `None` of what starts other programs.
fn confinement(role: &Role) -> Result<Option<Confinement>, Box<dyn Error>> {
    let attested = |own: Confinement, arguments: &Attested| {
        own.reads(&arguments.config).reads(&arguments.root)
    };
    Ok(Some(match role {
        Role::Machine(_) => return Ok(None),
        Role::Enclave(arguments) => arguments.confinement()?,
        Role::Holder(arguments) => {
            let config = HolderConfig::load(&arguments.config)?;
            attested(config.confinement(), arguments)
        }
        Role::Guard(arguments) => {
            let config: GuardConfig = read_toml(&arguments.attested.config)?;
            attested(config.confinement(), &arguments.attested).reads(&arguments.measurements)
        }
        Role::Gateway(arguments) => GatewayConfig::load(&arguments.config)?
            .confinement()
            .reads(&arguments.config),
        Role::Relayer(arguments) => {
            let config: RelayerConfig = read_toml(&arguments.config)?;
            config.confinement().reads(&arguments.config)
        }
        Role::Tied { .. } => Confinement::new(),
    }))
}

async fn holder(arguments: Attested) -> Outcome {
    let config = HolderConfig::load(&arguments.config)?;
    let trust = keyfold_holder_service::Trust {
        root: root(&arguments.root)?,
        policy: keyfold_holder_service::load_policy(&config.measurement_policy)?,
    };
    let shutdown = arguments.parent.shutdown()?;
    let until = async move { shutdown.wait().await };
    keyfold_holder_service::run(config, trust, ready, until).await?;
    Ok(())
}

async fn guard(arguments: MeasuredArguments) -> Outcome {
    let MeasuredArguments {
        attested,
        measurements,
    } = arguments;
    let config: GuardConfig = read_toml(&attested.config)?;
    let allowed: Vec<Measurements> = serde_json::from_slice(&read(&measurements)?)?;
    let trust = keyfold_guard_service::Trust {
        root: root(&attested.root)?,
        policy: MeasurementPolicy::new(allowed),
    };
    keyfold_guard_service::run(config, trust, ready, attested.parent.shutdown()?).await?;
    Ok(())
}

async fn gateway(arguments: Plain) -> Outcome {
    let config = GatewayConfig::load(&arguments.config)?;
    keyfold_gateway_service::run(config, ready, arguments.parent.shutdown()?).await?;
    Ok(())
}

async fn relayer(arguments: Plain) -> Outcome {
    let config: RelayerConfig = read_toml(&arguments.config)?;
    keyfold_relayer_service::run(config, ready, arguments.parent.shutdown()?).await?;
    Ok(())
}

fn root(path: &Path) -> Result<TrustRoot, Box<dyn Error>> {
    Ok(TrustRoot::from_der(&read(path)?)?)
}

fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T, Box<dyn Error>> {
    let text = String::from_utf8(read(path)?)?;
    toml::from_str(&text).map_err(|error| format!("{}: {}", path.display(), error.message()).into())
}

fn read(path: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    use std::io::Read as _;
    let within = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(within)?;
    file.take(MAX_FILE)
        .read_to_end(&mut bytes)
        .map_err(within)?;
    Ok(bytes)
}

/// Tells whoever waits that the role listens.
fn ready(address: SocketAddr) {
    announce(&serde_json::json!({ "event": "listening", "address": address }));
}

fn announce(line: &serde_json::Value) {
    let mut out = std::io::stdout().lock();
    // Whoever does not read it does not wait for it.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
