//! Starting everything, side by side where nothing waits for something else.

use std::future::Future;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use alloy_primitives::{Address, U256};
use keyfold_cli::{Kind, ProfileFile};
use keyfold_client::{Client, NewProject, RealmPin};
use keyfold_protocol::gateway_api::GenesisPlan;
use keyfold_protocol::ids::Digest32;
use keyfold_protocol::realm::RootKind;
use keyfold_relayer_service::{Deployed, deploy_contracts};

use crate::system::chain::{CHAIN_ID, Chain};
use crate::system::files::{Files, make, write};
use crate::system::mailbox::Mailbox;
use crate::system::plan::{Plan, Processes, prepare};
use crate::system::ports::Ports;
use crate::system::record::Recorder;
use crate::system::{Ambient, Https, Options, Project, System, SystemError, new_key};

/// Coins for the relayer: 100.
const GAS_MONEY: u128 = 100_000_000_000_000_000_000;

/// How long each step took.
#[derive(Default)]
struct Timings(Mutex<Vec<(String, Duration)>>);

impl Timings {
    async fn of<T>(&self, name: &str, step: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let result = step.await;
        let mut all = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        all.push((name.to_owned(), begun.elapsed()));
        result
    }
}

impl System {
    /// Starts everything and waits until it serves.
    ///
    /// # Errors
    ///
    /// [`SystemError`], which names the process that failed; nothing is left running, and the folder
    /// with the logs is left.
    pub async fn start(options: Options) -> Result<Self, SystemError> {
        let files = Files::create(options.folder.as_deref())?;
        let ports = Ports::take()?;
        match start(&options, &files, &ports).await {
            Ok(started) => Ok(Self {
                processes: started.processes,
                pin: started.pin,
                gateway: started.gateway.0,
                gateway_pin: started.gateway.1,
                projects: started.projects,
                chains: started.chains,
                mailbox: Mailbox::new(files.mails()),
                timings: started.timings,
                _recorders: started.recorders,
                files,
                _ports: ports,
            }),
            Err(error) => {
                files.keep();
                Err(error)
            }
        }
    }
}

struct Started {
    processes: Processes,
    pin: RealmPin,
    gateway: (String, keyfold_net::SpkiPin),
    projects: Vec<Project>,
    chains: Vec<Chain>,
    timings: Vec<(String, Duration)>,
    recorders: Vec<Recorder>,
}

async fn start(options: &Options, files: &Files, ports: &Ports) -> Result<Started, SystemError> {
    let timings = Timings::default();
    let plan = timings
        .of("keys and configurations", async {
            prepare(options, files, ports)
        })
        .await?;
    let chain = |(id, url): &(u64, String)| Chain::new(*id, url.clone(), options.tool("cast"));
    let chains: Vec<Chain> = plan.chains.iter().map(chain).collect();
    let recorders = if options.record_traffic {
        record(files)?
    } else {
        Vec::new()
    };
    let all = &plan.processes;
    let on_chain = async {
        for node in &all.nodes {
            timings.of("EVM node", node.start()).await?;
        }
        let contracts = async {
            for chain in &chains {
                chain
                    .fund(plan.relayer_address, U256::from(GAS_MONEY))
                    .await?;
                deploy(&plan, chain, None).await?;
            }
            Ok(())
        };
        timings.of("contracts", contracts).await?;
        timings.of("relayer", all.relayer.start()).await
    };
    let mail = timings.of("mail server", all.mail.start());
    let ((pin, key), (), ()) =
        tokio::try_join!(keys(options, files, &plan, &timings), on_chain, mail)?;
    let gateway = (plan.gateway.to_string(), plan.gateway_pin);
    let checkpointer = if plan.projects.iter().any(|project| project.checkpointer) {
        Some(checkpointer(&plan, &chains, key).await?)
    } else {
        None
    };
    let projects = timings
        .of(
            "projects",
            projects(files, &plan, &pin, &gateway, checkpointer),
        )
        .await?;
    Ok(Started {
        processes: plan.processes,
        pin,
        gateway,
        projects,
        chains,
        timings: timings.0.into_inner().unwrap_or_default(),
        recorders,
    })
}

/// Everything that keys depend on: holders, gateway, enclave, the realm they make, and its guard.
async fn keys(
    options: &Options,
    files: &Files,
    plan: &Plan,
    timings: &Timings,
) -> Result<(RealmPin, Address), SystemError> {
    let all = &plan.processes;
    let holders = async {
        let starting = all.holders.iter().map(super::Process::start);
        for started in futures(starting).await {
            started?;
        }
        Ok::<_, SystemError>(())
    };
    let behind = async {
        timings.of("gateway", all.gateway.start()).await?;
        timings.of("enclave", all.enclave.start()).await
    };
    tokio::try_join!(timings.of("holders", holders), behind)?;
    let genesis = GenesisPlan {
        threshold: options.threshold,
        holders: plan.cards.clone(),
        root: RootKind::Development {
            certificate_sha256: Digest32::from_bytes(plan.root.fingerprint()),
        },
    };
    let inbound = files.inbound();
    let signed = timings
        .of(
            "genesis",
            keyfold_gateway_service::genesis(&inbound, &genesis),
        )
        .await
        .map_err(|error| SystemError::Step {
            what: "make the realm".to_owned(),
            problem: format!(
                "{}\nLast lines of the enclave:\n{}",
                super::chain_of(&error),
                all.enclave.tail()
            ),
        })?;
    let verified = signed
        .verify_unpinned()
        .map_err(SystemError::step("read the realm record"))?;
    let realm = verified.id();
    let key = Address::from(*verified.record().checkpointer.as_bytes());
    plan.guard.serve(realm)?;
    timings.of("guard", all.guard.start()).await?;
    let pin = RealmPin {
        realm,
        root: plan.root.clone(),
        policy: plan.policy.clone(),
    };
    Ok((pin, key))
}

/// Puts the contracts on a chain that it lacks: with a key, the checkpointer too.
async fn deploy(
    plan: &Plan,
    chain: &Chain,
    checkpointer_key: Option<Address>,
) -> Result<Vec<Deployed>, SystemError> {
    deploy_contracts(&plan.relayer, chain.id(), checkpointer_key)
        .await
        .map_err(SystemError::step("deploy the contracts"))
}

/// Puts the realm's checkpointer on every chain, where it has one address.
async fn checkpointer(plan: &Plan, chains: &[Chain], key: Address) -> Result<Address, SystemError> {
    let mut at = None;
    for chain in chains {
        let deployed = deploy(plan, chain, Some(key)).await?;
        at = deployed
            .iter()
            .find(|one| one.name == "Checkpointer")
            .map(|one| one.address);
    }
    at.ok_or_else(|| SystemError::Step {
        what: "deploy the checkpointer".to_owned(),
        problem: "it is not among the contracts".to_owned(),
    })
}

/// Runs futures of one kind side by side, in the order given.
async fn futures<F>(all: impl Iterator<Item = F>) -> Vec<F::Output>
where
    F: Future,
{
    futures_util::future::join_all(all).await
}

async fn projects(
    files: &Files,
    plan: &Plan,
    pin: &RealmPin,
    gateway: &(String, keyfold_net::SpkiPin),
    checkpointer: Option<Address>,
) -> Result<Vec<Project>, SystemError> {
    let client = |key| {
        let transport = Https::new(&gateway.0, gateway.1)?;
        let client = Client::new(pin.clone(), transport, key, Ambient);
        Ok::<_, SystemError>(client)
    };
    super::until_serving(&client(new_key())?, files, &plan.processes.enclave).await?;
    let mut made = Vec::new();
    for project in &plan.projects {
        let what = || format!("make the project {}", project.id);
        let administrator = new_key();
        let new = NewProject {
            project: project.id.clone(),
            display_name: project.id.as_str().to_owned(),
            mail: project.mail.clone(),
            guard: project.guard.clone(),
            checkpointer: checkpointer.filter(|_| project.checkpointer),
            contracts: project.contracts,
            sign_in: project.sign_in.clone(),
        };
        client(administrator.clone())?
            .create_project(new)
            .await
            .map_err(SystemError::step(what()))?;
        made.push(Project {
            id: project.id.clone(),
            guard: project.guard.clone(),
            checkpointer: checkpointer.filter(|_| project.checkpointer),
            contracts: project.contracts,
            administrator,
        });
    }
    for project in &made {
        profile(files, pin, gateway, project)?;
    }
    Ok(made)
}

/// Writes what `keyfold` needs to know to use a project: a development profile.
fn profile(
    files: &Files,
    pin: &RealmPin,
    gateway: &(String, keyfold_net::SpkiPin),
    project: &Project,
) -> Result<(), SystemError> {
    let guard = match &project.guard {
        Some(guard) => guard.signer.to_string(),
        None => "none".to_owned(),
    };
    let profile = ProfileFile {
        checkpointer: project.checkpointer,
        contracts: project.contracts,
        gateway: format!("https://{}", gateway.0),
        gateway_ca: None,
        gateway_spki: Some(gateway.1.to_string()),
        realm: pin.realm,
        kind: Kind::Development,
        root_certificate: Some(files.root_certificate()),
        project: Some(project.id.clone()),
        chain: Some(CHAIN_ID),
        guard: Some(guard),
        state: None,
        measurements: pin.policy.allowed().to_vec(),
    };
    let text = toml::to_string_pretty(&profile).map_err(SystemError::step("write a profile"))?;
    write(&files.profile(&project.id), text)
}

fn record(files: &Files) -> Result<Vec<Recorder>, SystemError> {
    let folder = files.traffic();
    make(&folder)?;
    Ok(vec![
        Recorder::start(
            &files.inbound(),
            &files.inbound_behind(),
            &folder.join("inbound"),
        )?,
        Recorder::start(
            &files.outbound(),
            &files.outbound_behind(),
            &folder.join("outbound"),
        )?,
    ])
}
