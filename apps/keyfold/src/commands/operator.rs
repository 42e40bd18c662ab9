//! Services and the realm.

use std::error::Error;
use std::path::Path;

use alloy_primitives::Address;
use keyfold_attest::{MeasurementPolicy, Measurements, TrustRoot};
use keyfold_gateway_service::GatewayConfig;
use keyfold_guard_service::{GuardConfig, Trust};
use keyfold_net::{Shutdown, descriptors, dumps, telemetry};
use keyfold_protocol::gateway_api::GenesisPlan;
use keyfold_protocol::realm::{HolderCard, RootKind};
use keyfold_relayer_service::RelayerConfig;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::args::{
    Command, GatewayCommand, GuardCommand, RealmCommand, RealmGenesis, RelayerCommand,
};
use crate::code::CliCode;
use crate::error::{CliError, chain_of};
use crate::files::read;
use crate::output::{Output, Report};

pub(crate) async fn gateway(command: GatewayCommand, output: Output) -> Result<Report, CliError> {
    match command {
        GatewayCommand::Init(service) => {
            let config = GatewayConfig::load(&service.config).map_err(|e| configuration(&e))?;
            let pin = keyfold_gateway_service::init(&config).map_err(|e| start(&e))?;
            Ok(Report::new(
                format!("The gateway's TLS key is {pin}."),
                json!({ "tls_spki_sha256": pin.to_string() }),
            ))
        }
        GatewayCommand::Run(service) => {
            let config = GatewayConfig::load(&service.config).map_err(|e| configuration(&e))?;
            let shutdown = begin()?;
            keyfold_gateway_service::run(config, |at| listening(output, at), shutdown)
                .await
                .map_err(|e| start(&e))?;
            Ok(ended())
        }
    }
}

pub(crate) async fn guard(command: GuardCommand, output: Output) -> Result<Report, CliError> {
    match command {
        GuardCommand::Init(service) => {
            let config = guard_config(&service.config)?;
            let pin = keyfold_guard_service::init(&config).map_err(|e| start(&e))?;
            Ok(Report::new(
                format!(
                    "The guard's TLS key is {pin}. Write {}, add the realm's id to `realms` in the \
                     configuration, and keep a copy of the master key elsewhere.",
                    config.data.join("policies/<project>.json").display()
                ),
                json!({ "tls_spki_sha256": pin.to_string() }),
            ))
        }
        GuardCommand::Run(arguments) => {
            let config = guard_config(&arguments.service.config)?;
            let trusted: Vec<Measurements> = read_json(&arguments.measurements)?;
            // A guard of a development realm is run by the development program.
            let trust = Trust {
                root: TrustRoot::aws_nitro(),
                policy: MeasurementPolicy::new(trusted),
            };
            let shutdown = begin()?;
            keyfold_guard_service::run(config, trust, |at| listening(output, at), shutdown)
                .await
                .map_err(|e| start(&e))?;
            Ok(ended())
        }
    }
}

pub(crate) async fn relayer(command: RelayerCommand, output: Output) -> Result<Report, CliError> {
    match command {
        RelayerCommand::Init(service) => {
            let config = relayer_config(&service.config)?;
            let identity = keyfold_relayer_service::init(&config).map_err(|e| start(&e))?;
            Ok(Report::new(
                format!(
                    "The relayer pays from {}: fund it. Its TLS key is {}.",
                    identity.address, identity.pin
                ),
                json!({
                    "address": identity.address.to_string(),
                    "tls_spki_sha256": identity.pin.to_string(),
                }),
            ))
        }
        RelayerCommand::Deploy(arguments) => {
            let config = relayer_config(&arguments.service.config)?;
            let _step = output.step("Deploying the contracts");
            let key = arguments.checkpointer_key;
            let deployed = keyfold_relayer_service::deploy_contracts(&config, arguments.chain, key)
                .await
                .map_err(|e| start(&e))?;
            let line = |one: &keyfold_relayer_service::Deployed| {
                let new = if one.new { "deployed" } else { "was there" };
                format!("{}  {} ({new})", one.address, one.name)
            };
            let contracts: Vec<_> = deployed
                .iter()
                .map(|one| json!({ "name": one.name, "address": one.address.to_string(), "new": one.new }))
                .collect();
            Ok(Report::new(
                deployed.iter().map(line).collect::<Vec<_>>().join("\n"),
                json!({ "contracts": contracts }),
            ))
        }
        RelayerCommand::Run(service) => {
            let config = relayer_config(&service.config)?;
            let shutdown = begin()?;
            keyfold_relayer_service::run(config, |at| listening(output, at), shutdown)
                .await
                .map_err(|e| start(&e))?;
            Ok(ended())
        }
    }
}

pub(crate) async fn realm(command: RealmCommand, output: Output) -> Result<Report, CliError> {
    match command {
        RealmCommand::Genesis(arguments) => genesis(&arguments, output).await,
        RealmCommand::Status(socket) => {
            let status = keyfold_gateway_service::status(&socket.enclave)
                .await
                .map_err(|error| enclave(&error))?;
            let state = match (status.ready, status.awaits_genesis) {
                (true, _) => "serves",
                (false, true) => "waits for genesis",
                (false, false) => "is starting",
            };
            Ok(Report::new(
                format!("The instance {} {state}.", status.instance),
                json!(status),
            ))
        }
    }
}

async fn genesis(arguments: &RealmGenesis, output: Output) -> Result<Report, CliError> {
    let holders: Vec<HolderCard> = arguments
        .cards
        .iter()
        .map(|path| read_json(path))
        .collect::<Result<_, _>>()?;
    let plan = GenesisPlan {
        threshold: arguments.threshold,
        holders,
        root: RootKind::AwsNitro,
    };
    let signed = {
        let _step = output.step("Asking every holder to verify the enclave and to sign");
        keyfold_gateway_service::genesis(&arguments.enclave, &plan)
            .await
            .map_err(|error| enclave(&error))?
    };
    // An enclave is asked over a local socket and is not verified here; the holders did that.
    let asked = signed.record.holders == plan.holders && signed.record.threshold == plan.threshold;
    if !asked {
        return Err(CliError::new(
            CliCode::OtherRealm,
            "the enclave made a realm of other holders than were asked for",
            "Do not use it. Check which enclave this socket leads to.",
        ));
    }
    let warnings = signed.record.concentration_warnings();
    for warning in &warnings {
        output.say(&format!("warning: {}", crate::output::printable(warning)));
    }
    let id = signed.record.id();
    Ok(Report::new(
        format!(
            "Realm {id}\nShow this id to every holder's operator. Clients pin it.\n\
             Its checkpointer key is {}.",
            Address::from(*signed.record.checkpointer.as_bytes())
        ),
        json!({ "realm": id, "warnings": warnings, "record": signed }),
    ))
}

/// Does what a service needs done while its process has one thread: logs, limits, confinement.
/// Nothing for other commands.
pub(crate) fn prepare(command: &Command) -> Result<(), CliError> {
    let (confinement, config) = match command {
        Command::Gateway(GatewayCommand::Run(service)) => {
            let config = GatewayConfig::load(&service.config).map_err(|e| configuration(&e))?;
            (config.confinement(), &service.config)
        }
        Command::Guard(GuardCommand::Run(arguments)) => {
            let config = &arguments.service.config;
            let confinement = guard_config(config)?.confinement();
            (confinement.reads(&arguments.measurements), config)
        }
        Command::Relayer(RelayerCommand::Run(service)) => (
            relayer_config(&service.config)?.confinement(),
            &service.config,
        ),
        _ => return Ok(()),
    };
    telemetry::init().map_err(|error| start(&error))?;
    descriptors::raise_limit_or_warn();
    dumps::switch_off_or_warn();
    confinement.reads(config).apply_and_log();
    Ok(())
}

/// Signals of a service that was prepared for.
fn begin() -> Result<Shutdown, CliError> {
    Shutdown::on_signals().map_err(|error| start(&error))
}

fn listening(output: Output, at: std::net::SocketAddr) {
    output.say(&format!("Listening on {at}."));
}

fn ended() -> Report {
    Report::new("", json!({ "ended": true }))
}

fn guard_config(path: &Path) -> Result<GuardConfig, CliError> {
    let mut config: GuardConfig = read_toml(path)?;
    config.data = beside(path, &config.data);
    Ok(config)
}

fn relayer_config(path: &Path) -> Result<RelayerConfig, CliError> {
    let mut config: RelayerConfig = read_toml(path)?;
    config.data = beside(path, &config.data);
    for chain in &mut config.chains {
        chain.rpc_roots = chain.rpc_roots.as_deref().map(|roots| beside(path, roots));
    }
    Ok(config)
}

fn beside(file: &Path, path: &Path) -> std::path::PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}

fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T, CliError> {
    toml::from_str(&read(path)?).map_err(|error| unreadable(path, error.message()))
}

pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, CliError> {
    serde_json::from_str(&read(path)?).map_err(|error| unreadable(path, &error.to_string()))
}

fn unreadable(path: &Path, message: &str) -> CliError {
    CliError::usage(
        format!("{} is not what belongs here: {message}", path.display()),
        "Correct the file.",
    )
}

fn configuration(error: &(dyn Error + 'static)) -> CliError {
    CliError::usage(chain_of(error), "Correct the configuration.")
}

fn start(error: &(dyn Error + 'static)) -> CliError {
    CliError::new(
        CliCode::ServiceFailed,
        chain_of(error),
        "Correct the configuration or the machine and start it again; what exists is kept.",
    )
}

pub(super) fn enclave(error: &keyfold_gateway_service::EnclaveCallError) -> CliError {
    use keyfold_gateway_service::EnclaveCallError as Call;
    let (code, what_to_do) = match error {
        Call::Unreachable(_) => (
            CliCode::EnclaveUnreachable,
            "Start the enclave, or check the path.",
        ),
        Call::Refused(_) => (
            CliCode::EnclaveRefused,
            "Correct what it names. A genesis that was cut off can be repeated.",
        ),
        Call::Realm(_) => (CliCode::GenesisInvalid, "Do not use this realm."),
        _ => (CliCode::EnclaveFailed, "Check the enclave's log."),
    };
    CliError::new(code, chain_of(error), what_to_do)
}
