//! What the attacks share: a system, people in it, and a way to run many cases in one system.

#![allow(
    dead_code,
    unused_imports,
    reason = "each file of attacks uses what it needs"
)]

pub(crate) mod channel;
pub(crate) mod edges;
pub(crate) mod keys;
pub(crate) mod search;
pub(crate) mod storage;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use keyfold_client::{ClientError, Session, Wallet};
use keyfold_crypto::jwk::DeviceSigningKey;
use keyfold_testkit::system::{CHAIN_ID, Device, Options, Project, System, new_key};

pub(crate) use keyfold_testkit::system::Part;

/// Starts a system whose processes are this very build.
pub(crate) async fn start(tune: impl FnOnce(&mut Options)) -> System {
    let mut options = Options::new(env!("CARGO_BIN_EXE_keyfold-test-roles")).unwrap();
    tune(&mut options);
    let begun = Instant::now();
    let system = System::start(options)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    eprintln!("system up after {} ms", begun.elapsed().as_millis());
    system
}

/// Runs cases one after the other, each whatever became of those before, and collects failures.
#[derive(Default)]
pub(crate) struct Cases {
    failed: Vec<String>,
    run: usize,
}

impl Cases {
    /// Runs one case. A panic in it is its failure.
    pub(crate) async fn run(&mut self, name: &str, case: impl Future<Output = ()>) {
        let begun = Instant::now();
        let outcome = AssertUnwindSafe(case).catch_unwind().await;
        self.run += 1;
        let took = begun.elapsed().as_millis();
        match outcome {
            Ok(()) => eprintln!("ok      {name} ({took} ms)"),
            Err(panic) => {
                let text = panic
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                eprintln!("FAILED  {name} ({took} ms)");
                self.failed
                    .push(format!("{name}: {}", text.unwrap_or_default()));
            }
        }
    }

    /// Ends the system and fails the test where a case failed, keeping the logs.
    pub(crate) async fn end(self, system: System) {
        if !self.failed.is_empty() {
            system.files().keep();
            eprintln!("files: {}", system.files().root().display());
        }
        system.shutdown().await;
        assert!(
            self.failed.is_empty(),
            "{} of {} cases failed:\n{}",
            self.failed.len(),
            self.run,
            self.failed.join("\n")
        );
    }
}

/// Runs functions of the world, by their names; boxed, so that many fit on a test's stack.
macro_rules! run_cases {
    ($cases:ident, $world:expr, [$($case:ident),* $(,)?]) => {
        $($cases.run(stringify!($case), Box::pin($case($world))).await;)*
    };
}

/// A person on one device.
pub(crate) struct Person {
    pub(crate) email: String,
    pub(crate) project: Project,
    pub(crate) key: Arc<DeviceSigningKey>,
    pub(crate) device: Device,
    pub(crate) session: Session,
}

/// Makes a client for a device of a project's users.
pub(crate) fn device(system: &System, project: &Project, key: &Arc<DeviceSigningKey>) -> Device {
    let device = system.device(key).unwrap();
    device.with_wallet_rules(project.wallet_rules())
}

impl Person {
    /// Signs in on a new device.
    pub(crate) async fn sign_in(system: &System, project: &Project, email: &str) -> Self {
        let key = new_key();
        let device = device(system, project, &key);
        let session = system
            .sign_in(&device, project, email)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        Self {
            email: email.to_owned(),
            project: project.clone(),
            key,
            device,
            session,
        }
    }

    /// Makes a wallet, or finds it.
    pub(crate) async fn wallet(&self, label: &str) -> Wallet {
        let made = self.device.create_wallet(&self.session, label).await;
        made.unwrap_or_else(|error| panic!("no wallet {label}: {}", told(&error)))
    }

    /// Signs a text with a wallet.
    pub(crate) async fn sign(&self, wallet: &Wallet, text: &str) -> Result<(), ClientError> {
        let signed = self
            .device
            .sign_message(&self.session, wallet, CHAIN_ID, text.as_bytes());
        signed.await.map(drop)
    }

    /// Signs a text, which must succeed.
    pub(crate) async fn must_sign(&self, wallet: &Wallet, text: &str) {
        if let Err(error) = self.sign(wallet, text).await {
            panic!("{text:?} was not signed: {}", told(&error));
        }
    }
}

/// Code and sentence of an error.
pub(crate) fn told(error: &ClientError) -> String {
    format!("{} ({error})", error.code())
}

/// Fails unless a call was refused with this code; returns what the error says.
#[track_caller]
pub(crate) fn refused<T>(outcome: Result<T, ClientError>, code: &str) -> String {
    match outcome {
        Ok(_) => panic!("it was not refused; expected {code}"),
        Err(error) if error.code() == code => error.to_string(),
        Err(error) => panic!("expected {code}, not {}", told(&error)),
    }
}

/// Waits until something becomes true.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let begun = Instant::now();
    while !condition().await {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "still not: {what}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
