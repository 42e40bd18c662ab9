//! What each command does.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;

use keyfold_holder_service::{CONFIG_FILE, HolderConfig, Trust, card, init, run, status};
use keyfold_net::{Shutdown, descriptors, dumps, telemetry};

use crate::args::{Arguments, Command, Init, Warrant};
use crate::warrant;

pub(crate) type Outcome = Result<(), Box<dyn Error>>;

/// Enough for a holder: its work is short, its waits are the disk's.
const WORKERS: usize = 2;

pub(crate) fn execute(arguments: Arguments) -> Outcome {
    match arguments.command {
        Command::Init(arguments) => make(&arguments),
        Command::Run(folder) => serve(&load(&folder.dir)?),
        Command::Card(folder) => print(&card(&load(&folder.dir)?)?),
        Command::Status(folder) => {
            let config = load(&folder.dir)?;
            print(&runtime()?.block_on(status(&config))?)
        }
        Command::Warrant(Warrant::Show(at)) => {
            runtime()?.block_on(warrant::show(&load(&at.folder.dir)?, &at.file))
        }
        Command::Warrant(Warrant::Sign(at)) => {
            runtime()?.block_on(warrant::sign(&load(&at.folder.dir)?, &at.file))
        }
    }
}

fn load(dir: &Path) -> Result<HolderConfig, Box<dyn Error>> {
    Ok(HolderConfig::load(&dir.join(CONFIG_FILE))?)
}

fn make(arguments: &Init) -> Outcome {
    let dir = &arguments.folder.dir;
    let Init {
        name,
        party,
        region,
        address,
        listen,
        ..
    } = arguments;
    let mut config = HolderConfig::new(name, party, region, address, *listen);
    // Where the keys go; the file says the same relative to itself.
    config.data_dir = dir.clone();
    let card = init(&config)?;
    HolderConfig::new(name, party, region, address, *listen).save_new(&dir.join(CONFIG_FILE))?;
    let measurements = load(dir)?.measurement_policy;
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&measurements)?
        .write_all(b"[]\n")?;
    writeln!(
        std::io::stderr(),
        "Made {}. Next: approve an enclave image in {}, and keep a copy of master.key elsewhere.",
        dir.display(),
        measurements.display()
    )?;
    print(&card)
}

fn serve(config: &HolderConfig) -> Outcome {
    telemetry::init()?;
    descriptors::raise_limit_or_warn();
    dumps::switch_off_or_warn();
    let trust = Trust::aws_nitro(&config.measurement_policy)?;
    // Before the runtime has threads, which inherit it.
    config.confinement().apply_and_log();
    runtime()?.block_on(async {
        let shutdown = Shutdown::on_signals()?;
        run(config.clone(), trust, |_| {}, async move {
            shutdown.wait().await
        })
        .await?;
        Ok(())
    })
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
}

fn print(value: &(impl serde::Serialize + ?Sized)) -> Outcome {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}
