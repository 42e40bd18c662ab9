//! `bench sign-in`: the second step of a sign-in through every real process, for each method, and
//! what many password sign-ins at once do to the enclave's memory.
//!
//! What is measured is a round trip as an app sees it: the client signs, seals and opens, the
//! gateway passes on, the enclave verifies, holders enrol the device and keep the records, each
//! durable before it answers. The first step, and with it the mail, is left out. Of a provider's
//! sign-in the provider's own answer time, as the provider measures it, is taken off.

mod provider;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use keyfold_client::{Client, PendingSignIn};
use keyfold_crypto::{Secret, b64};
use keyfold_gateway_service::{Rate, RateLimits};
use keyfold_holder_service::{AttemptLimit, AttemptLimits};
use keyfold_identity::oidc::commitment::TokenCommitment;
use keyfold_identity::password::{self, Cost, MemoryBudget, Password, PasswordAccount, Pepper};
use keyfold_protocol::ids::Digest32;
use keyfold_protocol::project::{IssuerKeys, IssuerSettings, PasswordSettings, SignInSettings};
use keyfold_protocol::sign_in::{Method, Next, Proof};
use rcgen::{KeyPair, PKCS_ED25519, SigningKey as _};
use serde_json::{Value, json};

use self::provider::{NAME, Provider, REDIRECT, now, unsigned};
use crate::bench::load::percentile;
use crate::report::Report;
use crate::system::{
    Ambient, Device, Https, Options, Part, Project, ProjectOptions, System, SystemError, new_key,
};

const PROJECT: &str = "app.example";
const ISSUER: &str = "https://issuer.example";
const ISSUER_NAME: &str = "own";
const PASSWORD: &str = "correct horse, battery, staple";
/// What all password hashes of an enclave may take at once: `PASSWORD_MEMORY_KIB` of the enclave.
const BUDGET_KIB: u64 = 256 * 1024;
/// What connections and requests of the load may take beside it.
const SLACK_KIB: u64 = 64 * 1024;
/// Sets of connections to the gateway, which takes 64 of one peer in all.
const CONNECTIONS: usize = 16;
/// Sign-ins of each method that are not counted.
const WARM_UP: usize = 3;
/// Hashes in the measurement of a hash alone.
const HASHES: usize = 20;

/// How to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct SignInArguments {
    /// Sign-ins of each method.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
    /// Password sign-ins under way at once, where the enclave's memory is measured.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
    /// Keep everything in this new folder; otherwise a temporary one is removed at the end.
    #[arg(long)]
    data: Option<PathBuf>,
}

/// How long the second steps of a method took, in microseconds.
#[derive(Debug)]
struct Measured {
    name: &'static str,
    what: &'static str,
    count: usize,
    p50: f64,
    p95: f64,
    /// What the median may be.
    goal: Option<f64>,
}

impl Measured {
    fn of(
        name: &'static str,
        what: &'static str,
        goal_milliseconds: Option<u32>,
        mut times: Vec<Duration>,
    ) -> Self {
        times.sort_unstable();
        Self {
            name,
            what,
            count: times.len(),
            p50: percentile(&times, 50),
            p95: percentile(&times, 95),
            goal: goal_milliseconds.map(|ms| f64::from(ms) * 1e3),
        }
    }

    fn met(&self) -> Option<bool> {
        self.goal.map(|goal| self.p50 <= goal)
    }
}

/// What the load did to the enclave's memory, in KiB.
#[derive(Debug)]
struct Memory {
    at_once: usize,
    idle: u64,
    peak: u64,
    elapsed: Duration,
}

impl Memory {
    fn met(&self) -> bool {
        self.peak <= self.idle + BUDGET_KIB + SLACK_KIB
    }
}

/// Everything that was measured.
#[derive(Debug)]
pub(super) struct Numbers {
    methods: Vec<Measured>,
    /// Absent where the system does not tell a process's memory.
    memory: Option<Memory>,
}

/// Starts everything and measures.
pub(super) async fn measure(
    arguments: &SignInArguments,
    report: &mut Report,
) -> Result<Numbers, SystemError> {
    let program = std::env::current_exe().map_err(SystemError::io("find this program"))?;
    let provider = Provider::start().await?;
    let issuer = KeyPair::generate_for(&PKCS_ED25519);
    let issuer = issuer.map_err(SystemError::step("draw an issuer's key"))?;
    let mut options = Options::new(program)?;
    options.folder.clone_from(&arguments.data);
    options.log = "warn".to_owned();
    options.projects = vec![ProjectOptions {
        sign_in: settings(&provider, &issuer),
        ..ProjectOptions::new(PROJECT, None)
    }];
    options.egress = vec![provider.egress()?];
    unlimited(&mut options);
    if cfg!(debug_assertions) {
        report.line("This is a debug build: our own code is not optimised, the times mean little.");
    }
    let system = report
        .step(
            "everything runs, and the realm is made",
            System::start(options),
        )
        .await?;
    let transports = (0..CONNECTIONS).map(|_| system.transport());
    let bench = Bench {
        transports: transports.collect::<Result<_, _>>()?,
        system: &system,
        project: system.project(),
        provider: &provider,
        issuer: &issuer,
        count: arguments.count.into(),
        at_once: arguments.concurrency.into(),
    };
    let measured = bench.all(report).await;
    if measured.is_err() {
        system.files().keep();
        report.line(&format!("Logs: {}", system.files().logs().display()));
    }
    system.shutdown().await;
    measured
}

fn settings(provider: &Provider, issuer: &KeyPair) -> SignInSettings {
    SignInSettings {
        password: Some(PasswordSettings::default()),
        providers: [(NAME.to_owned(), provider.settings())].into(),
        issuers: [(
            ISSUER_NAME.to_owned(),
            IssuerSettings {
                issuer: ISSUER.to_owned(),
                audience: PROJECT.to_owned(),
                keys: IssuerKeys::Pem {
                    pem: issuer.public_key_pem(),
                },
                algorithms: vec!["EdDSA".to_owned()],
                max_token_age_seconds: 600,
            },
        )]
        .into(),
        ..SignInSettings::default()
    }
}

/// All these people have one address and no patience.
fn unlimited(options: &mut Options) {
    options.tune_gateway = Some(Arc::new(|config| {
        let rate = Rate {
            requests: NonZeroU32::new(1_000_000).unwrap_or(NonZeroU32::MIN),
            per_seconds: NonZeroU32::MIN,
        };
        config.rate_limits = RateLimits {
            requests: rate,
            sealed: rate,
            attestations: rate,
            transactions: rate,
        };
    }));
    options.tune_holder = Some(Arc::new(|_, config| {
        config.mails_per_address_per_hour = 100;
        config.mails_per_address_per_day = 100;
        config.attempts = AttemptLimits {
            password: AttemptLimit {
                per_hour: 1_000,
                per_day: 1_000,
            },
            ..AttemptLimits::default()
        };
    }));
}

/// A person with a device.
struct Person {
    device: Device,
    email: String,
}

struct Bench<'a> {
    transports: Vec<Https>,
    system: &'a System,
    project: &'a Project,
    provider: &'a Provider,
    issuer: &'a KeyPair,
    count: usize,
    at_once: usize,
}

impl Bench<'_> {
    async fn all(&self, report: &mut Report) -> Result<Numbers, SystemError> {
        let enclave = self.system.process(Part::Enclave).id();
        let mut people = Vec::new();
        for number in 0..(self.count + WARM_UP).max(self.at_once) {
            people.push(Person {
                device: self.device(number)?,
                email: format!("person-{number}@mail.example"),
            });
        }
        let email = report.step("email codes", self.by_code(&people)).await?;
        let again = report
            .step("email codes, of who is known", self.by_code(&people))
            .await?;
        let oidc = report.step("a provider", self.by_provider()).await?;
        let token = report
            .step("tokens of the app's issuer", self.by_token())
            .await?;
        // Before the first hash: what an allocator keeps of it is not idle.
        let idle = enclave.and_then(|id| memory(id, "VmRSS:"));
        report
            .step("passwords are set", self.set_passwords(&people))
            .await?;
        let passwords = report
            .step("passwords, one at a time", self.by_password(&people))
            .await?;
        let hash = report
            .step("the password's hash alone", async { hash_alone() })
            .await?;
        let elapsed = report
            .step(
                &format!("{} passwords at once", self.at_once),
                self.load(&people),
            )
            .await?;
        let peak = enclave.and_then(|id| memory(id, "VmHWM:"));
        let memory = idle.zip(peak).map(|(idle, peak)| Memory {
            at_once: self.at_once,
            idle,
            peak,
            elapsed,
        });
        let methods = vec![
            Measured::of("email-code", "a new account's first", Some(10), email),
            Measured::of(
                "email-code-known",
                "known account and device",
                Some(10),
                again,
            ),
            Measured::of(
                "oidc",
                "keys cached, provider's time taken off",
                Some(20),
                oidc,
            ),
            Measured::of(
                "token",
                "the app's issuer, key in the settings",
                None,
                token,
            ),
            Measured::of("password", "Argon2id, 19 MiB, 2 passes", None, passwords),
            Measured::of(
                "password-hash",
                "the hash alone, in this process",
                None,
                hash,
            ),
        ];
        Ok(Numbers { methods, memory })
    }

    /// A new device on one of the connections.
    fn device(&self, number: usize) -> Result<Device, SystemError> {
        let mut transports = self.transports.iter().cycle().skip(number % CONNECTIONS);
        let transport = transports.next().cloned();
        let transport = transport.ok_or_else(|| unexpected("a connection"))?;
        let client = Client::new(self.system.pin().clone(), transport, new_key(), Ambient);
        Ok(client.with_wallet_rules(self.project.wallet_rules()))
    }

    /// Asks for a code and reads it: what is not measured.
    async fn code(&self, person: &Person) -> Result<(PendingSignIn, String), SystemError> {
        let seen = self.system.mailbox().codes(&person.email)?.len();
        let pending = person
            .device
            .start_email(&self.project.id, &person.email)
            .await
            .map_err(SystemError::step("ask for a code"))?;
        let mail = self.system.mailbox().wait(&person.email, seen).await?;
        Ok((pending, mail.code().unwrap_or_default().to_owned()))
    }

    async fn by_code(&self, people: &[Person]) -> Result<Vec<Duration>, SystemError> {
        let mut times = Vec::new();
        for person in people.iter().take(self.count + WARM_UP) {
            let (pending, code) = self.code(person).await?;
            let proof = Proof::EmailCode {
                code: code.into(),
                new_password: None,
            };
            times.push(finish(&person.device, &pending, proof).await?);
        }
        Ok(times.split_off(WARM_UP))
    }

    async fn set_passwords(&self, people: &[Person]) -> Result<(), SystemError> {
        for person in people {
            let (pending, code) = self.code(person).await?;
            let proof = Proof::EmailCode {
                code: code.into(),
                new_password: Some(PASSWORD.to_owned().into()),
            };
            finish(&person.device, &pending, proof).await?;
        }
        Ok(())
    }

    async fn by_provider(&self) -> Result<Vec<Duration>, SystemError> {
        let mut times = Vec::new();
        for number in 0..self.count + WARM_UP {
            let device = self.device(number)?;
            let how = Method::Provider {
                name: NAME.to_owned(),
                redirect_uri: REDIRECT.to_owned(),
            };
            let pending = start(&device, self.project, how).await?;
            let Next::Redirect { url, .. } = pending.next() else {
                return Err(unexpected("a provider's address"));
            };
            let (code, callback) = self.provider.authorize(&number.to_string(), url)?;
            let proof = Proof::Provider {
                callback: callback.into(),
            };
            let took = finish(&device, &pending, proof).await?;
            times.push(took.saturating_sub(self.provider.took(&code)));
        }
        Ok(times.split_off(WARM_UP))
    }

    async fn by_token(&self) -> Result<Vec<Duration>, SystemError> {
        let mut times = Vec::new();
        for number in 0..self.count + WARM_UP {
            let device = self.device(number)?;
            let token = self.token(number)?;
            let how = Method::Token {
                issuer: ISSUER_NAME.to_owned(),
                commitment: Digest32::from_bytes(*TokenCommitment::of(&token).as_bytes()),
                salt: None,
            };
            let pending = start(&device, self.project, how).await?;
            let proof = Proof::Token {
                token: token.into(),
            };
            times.push(finish(&device, &pending, proof).await?);
        }
        Ok(times.split_off(WARM_UP))
    }

    fn token(&self, person: usize) -> Result<String, SystemError> {
        let signed = unsigned(
            &json!({ "alg": "EdDSA", "typ": "JWT" }),
            &json!({
                "iss": ISSUER, "aud": PROJECT, "sub": format!("person-{person}"),
                "iat": now(), "exp": now() + 300,
            }),
        );
        let signature = self.issuer.sign(signed.as_bytes());
        let signature = signature.map_err(SystemError::step("sign a token"))?;
        Ok(format!("{signed}.{}", b64::encode(&signature)))
    }

    async fn by_password(&self, people: &[Person]) -> Result<Vec<Duration>, SystemError> {
        let mut times = Vec::new();
        for person in people.iter().take(self.count + WARM_UP) {
            times.push(self.password(person).await?);
        }
        Ok(times.split_off(WARM_UP))
    }

    async fn password(&self, person: &Person) -> Result<Duration, SystemError> {
        let how = Method::Password {
            email: person.email.clone(),
        };
        let pending = start(&person.device, self.project, how).await?;
        let proof = Proof::Password {
            password: PASSWORD.to_owned().into(),
            new_password: None,
        };
        finish(&person.device, &pending, proof).await
    }

    async fn load(&self, people: &[Person]) -> Result<Duration, SystemError> {
        let begun = Instant::now();
        let all = people
            .iter()
            .take(self.at_once)
            .map(|one| self.password(one));
        futures_util::future::try_join_all(all).await?;
        Ok(begun.elapsed())
    }
}

async fn start(
    device: &Device,
    project: &Project,
    how: Method,
) -> Result<PendingSignIn, SystemError> {
    let started = device.start_sign_in(&project.id, how).await;
    started.map_err(SystemError::step("begin a sign-in"))
}

async fn finish(
    device: &Device,
    pending: &PendingSignIn,
    proof: Proof,
) -> Result<Duration, SystemError> {
    let begun = Instant::now();
    let finished = device.finish_sign_in(pending, proof, "bench").await;
    let took = begun.elapsed();
    finished.map_err(SystemError::step("finish a sign-in"))?;
    Ok(took)
}

fn unexpected(what: &str) -> SystemError {
    SystemError::Step {
        what: "begin a sign-in".to_owned(),
        problem: format!("there is not {what}"),
    }
}

/// Argon2id with a project's usual parameters, in this process.
fn hash_alone() -> Result<Vec<Duration>, SystemError> {
    let what = "hash a password";
    let cost = Cost::MINIMUM;
    let password = Password::parse(PASSWORD).map_err(SystemError::step(what))?;
    let mut rng = UnwrapErr(SysRng);
    let pepper = Pepper::new(1, Secret::random(&mut rng));
    let account = PasswordAccount {
        project: PROJECT,
        identity: b"person@mail.example",
    };
    let budget = MemoryBudget::new(cost.memory_kib());
    let mut times = Vec::new();
    for _ in 0..HASHES {
        let mut permit = budget
            .try_take(cost.memory_kib())
            .ok_or_else(|| unexpected("memory for a hash"))?;
        let begun = Instant::now();
        password::hash(&password, &account, cost, &pepper, &mut permit, &mut rng)
            .map_err(SystemError::step(what))?;
        times.push(begun.elapsed());
    }
    Ok(times)
}

/// A line of what Linux tells of a process's memory, in KiB.
fn memory(process: i32, line: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let found = status.lines().find_map(|text| text.strip_prefix(line))?;
    found.split_whitespace().next()?.parse().ok()
}

pub(super) fn table(numbers: &Numbers, report: &Report) {
    report.line("\nSecond step, round trip, all processes real, loopback, one at a time");
    for method in &numbers.methods {
        let goal = match (method.goal, method.met()) {
            (Some(goal), Some(true)) => format!("goal {:.0} ms: met", goal / 1e3),
            (Some(goal), _) => format!("goal {:.0} ms: NOT met", goal / 1e3),
            (None, _) => String::new(),
        };
        report.line(&format!(
            "{:<17} p50 {:>7.1} ms   p95 {:>7.1} ms   n {:<4} {goal:<18} {}",
            method.name,
            method.p50 / 1e3,
            method.p95 / 1e3,
            method.count,
            method.what
        ));
    }
    report.line(
        "Each contains the client's signing and sealing, the gateway, and the durable writes of the \
         holders.",
    );
    if let Some(memory) = &numbers.memory {
        report.line(&format!(
            "{} passwords at once in {:.1} s: the enclave's memory {} MiB before, at most {} \
             MiB; goal at most {} MiB more: {}",
            memory.at_once,
            memory.elapsed.as_secs_f64(),
            memory.idle / 1024,
            memory.peak / 1024,
            (BUDGET_KIB + SLACK_KIB) / 1024,
            if memory.met() { "met" } else { "NOT met" },
        ));
    }
}

pub(super) fn object(numbers: &Numbers) -> Value {
    let methods: Vec<_> = numbers
        .methods
        .iter()
        .map(|method| {
            json!({
                "method": method.name,
                "what": method.what,
                "count": method.count,
                "p50_microseconds": method.p50,
                "p95_microseconds": method.p95,
                "goal_p50_microseconds": method.goal,
                "goal_met": method.met(),
            })
        })
        .collect();
    let memory = numbers.memory.as_ref().map(|memory| {
        json!({
            "at_once": memory.at_once,
            "seconds": memory.elapsed.as_secs_f64(),
            "enclave_idle_kib": memory.idle,
            "enclave_peak_kib": memory.peak,
            "goal_more_kib": BUDGET_KIB + SLACK_KIB,
            "goal_met": memory.met(),
        })
    });
    json!({
        "ok": true,
        "optimised": !cfg!(debug_assertions),
        "methods": methods,
        "password_load": memory,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_by_the_median_and_memory_by_its_peak() {
        let times = |ms: [u64; 3]| ms.map(Duration::from_millis).to_vec();
        let met = |ms| Measured::of("m", "w", Some(10), times(ms)).met();
        assert_eq!(met([9, 10, 90]), Some(true));
        assert_eq!(met([9, 11, 11]), Some(false));
        assert_eq!(Measured::of("m", "w", None, times([1, 1, 1])).met(), None);
        let memory = |peak| Memory {
            at_once: 1,
            idle: 1_000,
            peak,
            elapsed: Duration::ZERO,
        };
        let most = 1_000 + BUDGET_KIB + SLACK_KIB;
        assert!(memory(most).met() && !memory(most + 1).met());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_tells_its_memory() {
        let own = i32::try_from(std::process::id()).unwrap();
        let (now, most) = (memory(own, "VmRSS:"), memory(own, "VmHWM:"));
        assert!(now > Some(0) && most > Some(0));
    }
}
