//! From the machine to the application.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use keyfold_enclave::{BootError, Enclave};
use keyfold_enclave_runtime::{INBOUND_PORT, Machine, serve_streams};
use keyfold_net::pipe::VsockListener;
use keyfold_net::{Shutdown, descriptors, dumps, telemetry};
use keyfold_platform_nitro::{NitroModule, Parent};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How often, and how long, the host is asked for the realm while it does not answer.
const HOST_PAUSE: Duration = Duration::from_millis(200);
const HOST_ATTEMPTS: u32 = 600;

pub(crate) fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = chain(error.as_ref()), "the enclave ends");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    telemetry::init()?;
    descriptors::raise_limit_or_warn();
    dumps::switch_off_or_warn();
    rustix::thread::set_no_new_privs(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve())
}

async fn serve() -> Outcome<()> {
    let parent = Parent::from_command_line(&std::fs::read_to_string("/proc/cmdline")?);
    let machine = Machine::new(NitroModule::open()?, parent.outbound());
    let shutdown = Shutdown::on_signals()?;
    let enclave = start(machine).await?;
    let listener = VsockListener::bind(INBOUND_PORT)?;
    tracing::info!(instance = %enclave.instance(), parent = parent.cid(), "the enclave listens");
    tokio::task::spawn_blocking(move || {
        if let Err(error) = parent.tell_ready() {
            tracing::debug!(%error, "nobody waits to hear that the enclave listens");
        }
    });
    let listener = &listener;
    serve_streams(enclave, || listener.accept(), shutdown).await;
    Ok(())
}

/// The host may be slower to start than its enclave. No key has been made use of until it answers.
async fn start(machine: Arc<Machine<NitroModule>>) -> Result<Arc<Running>, BootError> {
    let mut attempt = 1;
    loop {
        match Enclave::start(Arc::clone(&machine)).await {
            Err(BootError::Host) if attempt < HOST_ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(HOST_PAUSE).await;
            }
            other => return other,
        }
    }
}

type Running = Enclave<Machine<NitroModule>>;

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
