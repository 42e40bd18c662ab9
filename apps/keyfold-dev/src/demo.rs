//! `demo`: everything once, in a fresh folder, and then nothing is left. `dev`: the same, and it
//! stays.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use keyfold_net::Shutdown;
use keyfold_wallet::ContextName;
use serde_json::json;

use crate::journey::{Journey, travel};
use crate::report::{Output, Report};
use crate::roles::Outcome;
use crate::system::{CHAIN_ID, Options, System, SystemError};

const LOOK_FOR_MAIL_EVERY: Duration = Duration::from_millis(200);

/// What `demo` and `dev` are told.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArguments {
    /// Keep everything in this new folder; otherwise a temporary one is removed at the end.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Contracts of the wallets: keyfold or keyfold-4337. The chain has no others.
    #[arg(long, value_name = "NAME", value_parser = contracts, default_value_t = ContextName::Keyfold)]
    contracts: ContextName,
}

fn contracts(text: &str) -> Result<ContextName, String> {
    let known = text.parse::<ContextName>().ok();
    known
        .filter(|name| name.is_keyfold())
        .ok_or_else(|| "the development chain has keyfold and keyfold-4337".to_owned())
}

/// Does everything once.
pub(crate) fn demo(arguments: &DemoArguments, json: bool) -> Outcome {
    run(arguments, json, false)
}

/// Does everything once and stays up.
pub(crate) fn dev(arguments: &DemoArguments, json: bool) -> Outcome {
    run(arguments, json, true)
}

fn run(arguments: &DemoArguments, json: bool, stay: bool) -> Outcome {
    let output = if json {
        Output::Scripts
    } else {
        Output::People
    };
    let mut report = Report::new(output);
    let outcome = runtime()?.block_on(async {
        let shutdown = Shutdown::on_signals().map_err(SystemError::io("listen for signals"))?;
        once(arguments, json, stay, &mut report, &shutdown).await
    });
    if let (Err(error), true) = (&outcome, json) {
        let mut line = crate::args::failed(error).to_json();
        line["steps"] = json!(report.steps());
        writeln!(std::io::stdout(), "{line}")?;
    }
    Ok(outcome?)
}

async fn once(
    arguments: &DemoArguments,
    json: bool,
    stay: bool,
    report: &mut Report,
    shutdown: &Shutdown,
) -> Result<(), SystemError> {
    let system = tokio::select! {
        started = start(arguments, report) => started?,
        () = shutdown.wait() => return Err(interrupted()),
    };
    let mut journey = tokio::select! {
        journey = travel(&system, report) => journey,
        () = shutdown.wait() => Err(interrupted()),
    };
    if let (Ok(done), true) = (&journey, stay) {
        if json {
            tell(done, report)?;
        }
        if let Err(error) = stay_up(&system, report, shutdown).await {
            journey = Err(error);
        }
    }
    if journey.is_err() {
        system.files().keep();
        report.line(&format!("Logs: {}", system.files().logs().display()));
    }
    let ended = async {
        system.shutdown().await;
        Ok(())
    };
    report.step("every process ends", ended).await?;
    let journey = journey?;
    if json && !stay {
        tell(&journey, report)?;
    }
    report.line(&format!(
        "Done: wallet {}, transaction {} in block {} of chain {CHAIN_ID}.",
        journey.wallet.address(),
        journey.transaction,
        journey.block
    ));
    Ok(())
}

/// Prints the object for scripts.
fn tell(journey: &Journey, report: &Report) -> Result<(), SystemError> {
    let line = json!({
        "ok": true,
        "wallet": journey.wallet.address().to_string(),
        "tx": journey.transaction,
        "chain_id": CHAIN_ID,
        "block": journey.block,
        "steps": report.steps(),
    });
    writeln!(std::io::stdout(), "{line}").map_err(SystemError::io("write to standard output"))
}

/// Says what can be tried, and shows the mails that arrive.
async fn stay_up(system: &System, report: &Report, shutdown: &Shutdown) -> Result<(), SystemError> {
    let profile = system.files().profile(&system.project().id);
    let program = std::env::current_exe().map_err(SystemError::io("find this program"))?;
    let keyfold = program.with_file_name("keyfold");
    let keyfold = if keyfold.exists() { keyfold } else { program };
    for line in [
        String::new(),
        "Everything runs. In another terminal:".to_owned(),
        format!("  export KEYFOLD_PROFILE={}", profile.display()),
        format!("  alias keyfold={}", keyfold.display()),
        "  keyfold sign-in --email you@mail.example     # the code appears here".to_owned(),
        "  keyfold wallet create".to_owned(),
        format!(
            "  {} rpc --rpc-url {} anvil_setBalance \"$(keyfold wallet address)\" 0xde0b6b3a7640000",
            system.chain().cast_path().display(),
            system.chain().url()
        ),
        "  keyfold send --to 0x4242424242424242424242424242424242424242 --value 0.01ether"
            .to_owned(),
        "  keyfold sign message hello".to_owned(),
        "  keyfold devices; keyfold status".to_owned(),
        format!(
            "Gateway https://{}, EVM node {}",
            system.gateway(),
            system.chain().url()
        ),
        format!("Logs    {}", system.files().logs().display()),
        format!("Mails   {}", system.mailbox().folder().display()),
        "Ctrl-C ends everything.".to_owned(),
        String::new(),
    ] {
        report.line(&line);
    }
    let mut seen: BTreeSet<PathBuf> = BTreeSet::new();
    for mail in system.mailbox().all()? {
        seen.insert(mail.path);
    }
    loop {
        tokio::select! {
            () = shutdown.wait() => return Ok(()),
            () = tokio::time::sleep(LOOK_FOR_MAIL_EVERY) => {}
        }
        for mail in system.mailbox().all()? {
            if seen.insert(mail.path.clone()) {
                let code = mail.code().unwrap_or("no code");
                report.line(&format!(
                    "Mail to {}: {code}  ({})",
                    mail.to(),
                    mail.path.display()
                ));
            }
        }
        for process in system.all_processes() {
            if !process.is_running().await {
                return Err(SystemError::Ended {
                    name: process.name().to_owned(),
                    status: "unasked".to_owned(),
                    tail: process.tail(),
                    log: process.log().to_owned(),
                });
            }
        }
    }
}

fn interrupted() -> SystemError {
    SystemError::Step {
        what: "finish".to_owned(),
        problem: "it was interrupted".to_owned(),
    }
}

/// Starts the system and tells what took how long.
async fn start(arguments: &DemoArguments, report: &mut Report) -> Result<System, SystemError> {
    let program = std::env::current_exe().map_err(SystemError::io("find this program"))?;
    let mut options = Options::new(program)?;
    options.folder = arguments.data.clone();
    for project in &mut options.projects {
        project.contracts = arguments.contracts;
    }
    report.line(
        "Starting three holders, enclave, guard, gateway, relayer, EVM node, mail server ...",
    );
    let system = report
        .step(
            "everything runs, and the realm is made",
            System::start(options),
        )
        .await?;
    for (name, took) in system.timings() {
        report.detail(&format!("{name}: {} ms", took.as_millis()));
    }
    Ok(system)
}

pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
}
