//! From options to folders, keys, configurations, and the processes that use them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use alloy_primitives::Address;
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use keyfold_attest::{MeasurementPolicy, Measurements, TrustRoot};
use keyfold_cli::SystemEnvironment;
use keyfold_client::Environment as _;
use keyfold_gateway_service::{EgressTarget, EnclaveSockets, GatewayConfig, Rate, RateLimits};
use keyfold_guard_service::{GuardConfig, GuardKeys};
use keyfold_holder_service::{HolderCard, HolderConfig};
use keyfold_net::SpkiPin;
use keyfold_net::pipe::Target;
use keyfold_net::tls::ServerTls;
use keyfold_platform_dev::issuer::DevIssuer;
use keyfold_protocol::client_api::{GuardSettings, MailSecurity, MailSettings};
use keyfold_protocol::gateway_api::HOST_AUTHORITY;
use keyfold_protocol::ids::{Digest32, ProjectId, RealmId};
use keyfold_protocol::project::SignInSettings;
use keyfold_relayer_service::{ChainConfig, RelayerConfig};
use keyfold_storage::MasterKey;
use keyfold_wallet::ContextName;
use rustix::process::Signal;
use serde::Serialize;

use crate::roles::{measure, measure_image};
use crate::system::files::{Files, make, write};
use crate::system::ports::Ports;
use crate::system::process::{Process, Spec};
use crate::system::{EnclaveImage, Options, SystemError, pki};

/// The mail server's name, which the host maps to where it is.
const MAIL_HOST: &str = "smtp.keyfold.test";
const MAIL_PORT: u16 = 465;
const MAIL_FROM: &str = "codes@keyfold.test";
/// A signature costs two or three requests; a benchmark asks from one address.
const MANY: u32 = 1_000_000;

/// Numbers of ports in the system's block.
mod port {
    pub(super) const NODE: u16 = 0;
    pub(super) const MAIL: u16 = 1;
    pub(super) const GATEWAY: u16 = 2;
    pub(super) const GUARD: u16 = 3;
    pub(super) const RELAYER: u16 = 4;
    /// From here to the last but one.
    pub(super) const HOLDERS: u16 = 5;
    pub(super) const MOST_HOLDERS: u8 = 10;
    /// The second chain's, if there is one.
    pub(super) const SECOND_NODE: u16 = 15;
}

/// A project as it is to be made.
#[derive(Debug, Clone)]
pub(crate) struct PlannedProject {
    pub(crate) id: ProjectId,
    pub(crate) mail: MailSettings,
    pub(crate) guard: Option<GuardSettings>,
    pub(crate) checkpointer: bool,
    pub(crate) contracts: ContextName,
    pub(crate) sign_in: SignInSettings,
}

/// The guard's configuration, and where it stands.
#[derive(Debug)]
pub(crate) struct PlannedGuard {
    file: PathBuf,
    config: GuardConfig,
}

impl PlannedGuard {
    fn write(&self) -> Result<(), SystemError> {
        write(&self.file, toml(&self.config)?)
    }

    /// Has the guard serve a realm, which has no id before its genesis. It must not run yet.
    pub(crate) fn serve(&self, realm: RealmId) -> Result<(), SystemError> {
        let mut config = self.config.clone();
        config.realms = vec![realm];
        write(&self.file, toml(&config)?)
    }
}

/// Everything that is known before the first process runs.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) root: TrustRoot,
    pub(crate) policy: MeasurementPolicy,
    pub(crate) cards: Vec<HolderCard>,
    pub(crate) gateway: SocketAddr,
    pub(crate) gateway_pin: SpkiPin,
    /// Ids of the chains, and URLs of their nodes.
    pub(crate) chains: Vec<(u64, String)>,
    pub(crate) relayer: RelayerConfig,
    pub(crate) relayer_address: Address,
    pub(crate) projects: Vec<PlannedProject>,
    pub(crate) guard: PlannedGuard,
    pub(crate) processes: Processes,
}

/// The processes.
#[derive(Debug)]
pub(crate) struct Processes {
    pub(crate) nodes: Vec<Process>,
    pub(crate) mail: Process,
    pub(crate) holders: Vec<Process>,
    pub(crate) gateway: Process,
    pub(crate) enclave: Process,
    pub(crate) guard: Process,
    pub(crate) relayer: Process,
}

struct Maker<'a> {
    options: &'a Options,
    files: &'a Files,
    ports: &'a Ports,
}

/// Makes keys and configurations.
pub(crate) fn prepare(
    options: &Options,
    files: &Files,
    ports: &Ports,
) -> Result<Plan, SystemError> {
    if !(1..=port::MOST_HOLDERS).contains(&options.holders) {
        return Err(SystemError::Step {
            what: "plan the holders".to_owned(),
            problem: format!("there can be 1 to {}", port::MOST_HOLDERS),
        });
    }
    if !(1..=2).contains(&options.chains.len()) {
        return Err(SystemError::Step {
            what: "plan the chains".to_owned(),
            problem: "there can be one or two".to_owned(),
        });
    }
    let maker = Maker {
        options,
        files,
        ports,
    };
    let root = maker.issuer()?;
    let measured = maker.measurements()?;
    let mail = maker.mail()?;
    let (cards, holders) = maker.holders(&measured)?;
    let (guard, guards) = maker.guard()?;
    let (relayer, identity) = maker.relayer()?;
    let relayer_target = relayer.listen;
    let (gateway, gateway_pin) = maker.gateway(&cards, relayer_target, identity.pin)?;
    let projects = options.projects.iter().zip(guards);
    let projects = projects.map(|(project, guard)| {
        Ok(PlannedProject {
            id: project_id(&project.id)?,
            mail: mail.clone(),
            guard,
            checkpointer: project.checkpointer,
            contracts: project.contracts,
            sign_in: project.sign_in.clone(),
        })
    });
    let enclave = maker.enclave(&cards)?;
    Ok(Plan {
        root,
        policy: MeasurementPolicy::new(vec![measured]),
        cards,
        gateway: ports.address(port::GATEWAY),
        gateway_pin,
        chains: maker
            .chains()
            .map(|(id, at)| (id, format!("http://{at}")))
            .collect(),
        relayer_address: identity.address,
        projects: projects.collect::<Result<_, SystemError>>()?,
        processes: Processes {
            nodes: maker.chains().map(|(id, at)| maker.node(id, at)).collect(),
            mail: maker.mail_server(),
            holders,
            gateway,
            enclave,
            guard: maker.guard_process(&guard),
            relayer: maker.role(
                "relayer",
                "relayer",
                &[("--config", path(&files.relayer().join("relayer.toml")))],
            ),
        },
        relayer,
        guard,
    })
}

pub(crate) fn project_id(text: &str) -> Result<ProjectId, SystemError> {
    text.parse()
        .map_err(SystemError::step(format!("name a project {text}")))
}

impl Maker<'_> {
    fn issuer(&self) -> Result<TrustRoot, SystemError> {
        let failed = "make the development issuer";
        let issuer = DevIssuer::generate(&mut UnwrapErr(SysRng), SystemEnvironment.now_unix_ms())
            .map_err(SystemError::step(failed))?;
        let pem = issuer.to_pem().map_err(SystemError::step(failed))?;
        write(&self.files.issuer(), pem.as_bytes())?;
        write(&self.files.root_certificate(), issuer.root_der())?;
        TrustRoot::from_der(issuer.root_der()).map_err(SystemError::step(failed))
    }

    fn measurements(&self) -> Result<Measurements, SystemError> {
        let failed = "measure the enclave";
        let measured = match &self.options.image {
            Some(EnclaveImage { image, .. }) => {
                measure_image(image).map_err(SystemError::step(failed))
            }
            None => measure(&self.options.program).map_err(SystemError::step(failed)),
        }?;
        write(&self.files.measured(), json(&measured)?)?;
        write(&self.files.approved(), json(&[&measured])?)?;
        Ok(measured)
    }

    fn mail(&self) -> Result<MailSettings, SystemError> {
        let made = pki::certificate_for(MAIL_HOST)?;
        write(&self.mail_file("root.pem"), &made.root_pem)?;
        write(&self.mail_file("cert.pem"), &made.certificate_pem)?;
        write(&self.mail_file("key.pem"), &made.key_pem)?;
        Ok(MailSettings {
            host: MAIL_HOST.to_owned(),
            port: MAIL_PORT,
            security: self.options.mail_security,
            from: MAIL_FROM.to_owned(),
            username: None,
            password: None,
            roots_pem: Some(made.root_pem),
        })
    }

    fn mail_file(&self, name: &str) -> PathBuf {
        self.files.root().join(format!("mail-{name}"))
    }

    fn holders(
        &self,
        measured: &Measurements,
    ) -> Result<(Vec<HolderCard>, Vec<Process>), SystemError> {
        let (mut cards, mut processes) = (Vec::new(), Vec::new());
        for number in 0..self.options.holders {
            let (card, process) = self.holder(number, measured)?;
            cards.push(card);
            processes.push(process);
        }
        Ok((cards, processes))
    }

    fn holder(
        &self,
        number: u8,
        measured: &Measurements,
    ) -> Result<(HolderCard, Process), SystemError> {
        let name = format!("holder-{}", number + 1);
        let folder = self.files.holder(number.into());
        let listen = self.ports.address(port::HOLDERS + u16::from(number));
        let mut config = HolderConfig::new(
            &name,
            &format!("Party {}", number + 1),
            &format!("loopback-{}", number + 1),
            &listen.to_string(),
            listen,
        );
        if let Some(tune) = &self.options.tune_holder {
            tune(number.into(), &mut config);
        }
        let failed = || format!("make {name}");
        make(&folder)?;
        let at = HolderConfig {
            data_dir: folder.clone(),
            ..config.clone()
        };
        let card = keyfold_holder_service::init(&at).map_err(SystemError::step(failed()))?;
        let file = folder.join(keyfold_holder_service::CONFIG_FILE);
        config
            .save_new(&file)
            .map_err(SystemError::step(failed()))?;
        write(&folder.join(&config.measurement_policy), json(&[measured])?)?;
        let process = self.role(
            &name,
            "holder",
            &[
                ("--config", path(&file)),
                ("--root", path(&self.files.root_certificate())),
            ],
        );
        Ok((card, process))
    }

    /// The guard, which serves no realm yet, and what each project says of it.
    fn guard(&self) -> Result<(PlannedGuard, Vec<Option<GuardSettings>>), SystemError> {
        let failed = "make the guard";
        let config = GuardConfig::new(
            self.ports.address(port::GUARD),
            vec!["localhost".to_owned()],
            self.files.guard(),
        );
        make(&config.data)?;
        let pin = keyfold_guard_service::init(&config).map_err(SystemError::step(failed))?;
        let master =
            MasterKey::load(&config.data.join("master.key")).map_err(SystemError::step(failed))?;
        let keys = GuardKeys::new(&master);
        let mut settings = Vec::new();
        for project in &self.options.projects {
            let Some(policy) = &project.policy else {
                settings.push(None);
                continue;
            };
            let id = project_id(&project.id)?;
            write(
                &config.data.join("policies").join(format!("{id}.json")),
                json(policy)?,
            )?;
            settings.push(Some(GuardSettings {
                address: config.listen.to_string(),
                tls_spki_sha256: Digest32::from_bytes(pin.0),
                signer: keys.signer(&id),
            }));
        }
        let guard = PlannedGuard {
            file: config.data.join("guard.toml"),
            config,
        };
        guard.write()?;
        Ok((guard, settings))
    }

    fn guard_process(&self, guard: &PlannedGuard) -> Process {
        self.role(
            "guard",
            "guard",
            &[
                ("--config", path(&guard.file)),
                ("--root", path(&self.files.root_certificate())),
                ("--measurements", path(&self.files.approved())),
            ],
        )
    }

    fn relayer(&self) -> Result<(RelayerConfig, keyfold_relayer_service::Identity), SystemError> {
        let chains = self.chains().map(|(id, at)| {
            let url = format!("http://{at}").parse();
            let url = url.map_err(SystemError::step("name a node"))?;
            Ok(ChainConfig::new(id, url))
        });
        let mut config = RelayerConfig {
            listen: self.ports.address(port::RELAYER),
            names: vec!["localhost".to_owned()],
            data: self.files.relayer(),
            chains: chains.collect::<Result<_, SystemError>>()?,
            contracts: ContextName::CHOICES.to_vec(),
            limits: Default::default(),
        };
        if let Some(many) = std::num::NonZeroU32::new(MANY) {
            config.limits.requests_per_minute = many;
            config.limits.questions_per_minute = many;
        }
        // The gateway, which says for whom it asks.
        let gateway = self.ports.address(port::GATEWAY).ip();
        config.limits.trusted_proxies.push(gateway.to_string());
        make(&config.data)?;
        let identity = keyfold_relayer_service::init(&config)
            .map_err(SystemError::step("make the relayer"))?;
        write(&config.data.join("relayer.toml"), toml(&config)?)?;
        Ok((config, identity))
    }

    fn gateway(
        &self,
        cards: &[HolderCard],
        relayer: SocketAddr,
        relayer_pin: SpkiPin,
    ) -> Result<(Process, SpkiPin), SystemError> {
        let failed = "make the gateway";
        let folder = self.files.gateway();
        let listen = self.ports.address(port::GATEWAY);
        let mut config = GatewayConfig::new(listen, &folder);
        config.relayer = Some(keyfold_gateway_service::RelayerConfig {
            address: target(relayer)?,
            spki_sha256: relayer_pin,
        });
        let many = |rate: &mut Rate| {
            if let Some(many) = std::num::NonZeroU32::new(MANY) {
                rate.requests = many;
            }
        };
        let RateLimits {
            requests,
            sealed,
            attestations,
            transactions,
        } = &mut config.rate_limits;
        [requests, sealed, attestations, transactions]
            .into_iter()
            .for_each(many);
        let (recording, files) = (self.options.record_traffic, self.files);
        config.enclaves.push(EnclaveSockets {
            inbound: files.inbound().into(),
            outbound: if recording {
                files.outbound_behind().into()
            } else {
                files.outbound().into()
            },
        });
        for card in cards {
            config.egress.push(EgressTarget {
                target: target(&card.address)?,
                at: None,
            });
        }
        config.egress.push(EgressTarget {
            target: target(self.ports.address(port::GUARD))?,
            at: None,
        });
        config.egress.push(EgressTarget {
            target: target(format!("{MAIL_HOST}:{MAIL_PORT}"))?,
            at: Some(target(self.ports.address(port::MAIL))?),
        });
        config.egress.extend(self.options.egress.iter().cloned());
        if let Some(tune) = &self.options.tune_gateway {
            tune(&mut config);
        }
        let pin = keyfold_gateway_service::init(&config).map_err(SystemError::step(failed))?;
        let file = folder.join(keyfold_gateway_service::config::CONFIG_FILE);
        config.save_new(&file).map_err(SystemError::step(failed))?;
        let process = self.role("gateway", "gateway", &[("--config", path(&file))]);
        // The certificate is there now; a look at it proves that it is readable.
        ServerTls::from_pem_or_generate(config.tls_dir(), &config.names)
            .map_err(SystemError::step(failed))?;
        Ok((process, pin))
    }

    fn enclave(&self, cards: &[HolderCard]) -> Result<Process, SystemError> {
        let files = self.files;
        let (inbound, outbound) = if self.options.record_traffic {
            (files.inbound_behind(), files.outbound())
        } else {
            (files.inbound(), files.outbound())
        };
        let mut values = vec![
            ("--issuer", path(&files.issuer())),
            ("--inbound", path(&inbound)),
            ("--outbound", path(&outbound)),
        ];
        let Some(EnclaveImage { image, qemu }) = &self.options.image else {
            values.push(("--measurements", path(&files.measured())));
            return Ok(self.role("enclave", "enclave", &values));
        };
        values.extend([
            ("--image", path(image)),
            ("--qemu", path(qemu)),
            ("--pipes", path(&files.pipes())),
            ("--console", path(&files.logs().join("console.log"))),
        ]);
        let guard = self.ports.address(port::GUARD);
        let verifiers = (0..).zip(cards);
        let verifiers = verifiers.map(|(number, card)| {
            let keys = files.holder(number);
            ("--verifier", format!("{}={}", card.address, path(&keys)))
        });
        values.extend(verifiers);
        values.push(("--verifier", format!("{guard}={}", path(&files.guard()))));
        let mail = format!("{MAIL_HOST}:{MAIL_PORT}");
        values.extend([HOST_AUTHORITY.to_owned(), mail].map(|target| ("--through", target)));
        let more = self.options.egress.iter();
        values.extend(more.map(|egress| ("--through", egress.target.to_string())));
        Ok(self.role("enclave", "machine", &values))
    }

    /// The chains, and where their nodes listen.
    fn chains(&self) -> impl Iterator<Item = (u64, SocketAddr)> {
        let ports = [port::NODE, port::SECOND_NODE].map(|number| self.ports.address(number));
        self.options.chains.iter().copied().zip(ports)
    }

    fn node(&self, chain_id: u64, address: SocketAddr) -> Process {
        let arguments = [
            "role".to_owned(),
            "tied".to_owned(),
            path(&self.options.tool("anvil")),
            "--host".to_owned(),
            address.ip().to_string(),
            "--port".to_owned(),
            address.port().to_string(),
            "--chain-id".to_owned(),
            chain_id.to_string(),
            "--state".to_owned(),
            path(&self.files.chain_state(chain_id)),
        ];
        Process::new(Spec {
            name: format!("node-{chain_id}"),
            program: self.options.program.clone(),
            arguments: arguments.into(),
            environment: Vec::new(),
            ready: "Listening on",
            end_with: Signal::INT,
            log: self.files.logs().join(format!("node-{chain_id}.log")),
        })
    }

    fn mail_server(&self) -> Process {
        let address = self.ports.address(port::MAIL);
        let arguments = [
            path(&self.options.mail_server),
            "--cert".to_owned(),
            path(&self.mail_file("cert.pem")),
            "--key".to_owned(),
            path(&self.mail_file("key.pem")),
            "--dir".to_owned(),
            path(&self.files.mails()),
            "--host".to_owned(),
            address.ip().to_string(),
            "--port".to_owned(),
            address.port().to_string(),
            match self.options.mail_security {
                MailSecurity::ImplicitTls => "--implicit-tls".to_owned(),
                MailSecurity::Starttls => "--starttls".to_owned(),
            },
        ];
        Process::new(Spec {
            name: "mail".to_owned(),
            program: "node".into(),
            arguments: arguments.into(),
            environment: vec![("KEYFOLD_TOOLS".to_owned(), path(&self.options.tools))],
            ready: "\"listening\"",
            end_with: Signal::TERM,
            log: self.files.logs().join("mail.log"),
        })
    }

    fn role(&self, name: &str, role: &str, values: &[(&str, String)]) -> Process {
        let mut arguments = vec![
            "role".to_owned(),
            role.to_owned(),
            "--with-parent".to_owned(),
        ];
        for (flag, value) in values {
            arguments.extend([(*flag).to_owned(), value.clone()]);
        }
        Process::new(Spec {
            name: name.to_owned(),
            program: self.options.program.clone(),
            arguments,
            environment: vec![("KEYFOLD_LOG".to_owned(), self.options.log.clone())],
            ready: "\"listening\"",
            end_with: Signal::TERM,
            log: self.files.logs().join(format!("{name}.log")),
        })
    }
}

fn target(text: impl ToString) -> Result<Target, SystemError> {
    let text = text.to_string();
    text.parse()
        .map_err(SystemError::step(format!("name the target {text}")))
}

fn path(path: &Path) -> String {
    // Folders of ours are ASCII below a root that a person named.
    path.to_string_lossy().into_owned()
}

fn json(value: &(impl Serialize + ?Sized)) -> Result<Vec<u8>, SystemError> {
    serde_json::to_vec_pretty(value).map_err(SystemError::step("write JSON"))
}

fn toml(value: &impl Serialize) -> Result<String, SystemError> {
    ::toml::to_string_pretty(value).map_err(SystemError::step("write TOML"))
}
