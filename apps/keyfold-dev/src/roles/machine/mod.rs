//! An enclave image in QEMU's machine `nitro-enclave`, behind the same two sockets as an enclave that is
//! a process.
//!
//! The image is the one that is released. What is of tests stands outside it: QEMU's security module
//! signs nothing, so a notary stands before each party that verifies documents, with that party's own
//! TLS key ([`doors`]).

mod doors;
mod qemu;

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use keyfold_net::pipe::{Target, bind_private};
use keyfold_platform_dev::issuer::DevIssuer;
use keyfold_platform_dev::notary::Notary;
use keyfold_platform_nitro::{OUTBOUND_PORT, READY_PORT};

use super::measure::measure_image;
use super::{Outcome, Parent, announce, read};

/// For the image to boot and to listen, on a machine that does other things as well.
const BOOTS_WITHIN: Duration = Duration::from_secs(50);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Folder with QEMU, the vsock daemon and the ROMs, as tools/enclave/qemu.sh makes it.
    #[arg(long)]
    qemu: PathBuf,
    /// The enclave image.
    #[arg(long)]
    image: PathBuf,
    /// Key and certificate of the development issuer, PEM, mode 0600.
    #[arg(long)]
    issuer: PathBuf,
    /// Folder for the machine's sockets; its path must be short.
    #[arg(long)]
    pipes: PathBuf,
    /// File for what the machine prints.
    #[arg(long)]
    console: PathBuf,
    /// Socket to listen on for the host.
    #[arg(long)]
    inbound: PathBuf,
    /// The host's socket, for all that leaves.
    #[arg(long)]
    outbound: PathBuf,
    /// A party that verifies documents, and the folder of its TLS key: `host:port=folder`.
    #[arg(long)]
    verifier: Vec<Verifier>,
    /// Any other `host:port` that the enclave may ask the host for.
    #[arg(long)]
    through: Vec<Target>,
    #[command(flatten)]
    parent: Parent,
}

#[derive(Debug, Clone)]
struct Verifier {
    target: Target,
    keys: PathBuf,
}

impl FromStr for Verifier {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (target, keys) = text.split_once('=').ok_or("host:port=folder")?;
        Ok(Self {
            target: target.parse().map_err(|_| "host:port=folder")?,
            keys: keys.into(),
        })
    }
}

pub(super) async fn run(arguments: Arguments) -> Outcome {
    let issuer = DevIssuer::from_pem(&String::from_utf8(read(&arguments.issuer)?)?)?;
    let notary = Arc::new(Notary::new(issuer, measure_image(&arguments.image)?));
    let shutdown = arguments.parent.shutdown()?;

    // What the machine connects to is there before it runs.
    let vsock = qemu::Vsock::in_folder(&arguments.pipes);
    let (leaving, _leaving_file) = bind_private(&vsock.of_host(OUTBOUND_PORT)).await?;
    let (ready, _ready_file) = bind_private(&vsock.of_host(READY_PORT)).await?;
    let egress = doors::egress(
        &arguments.outbound,
        &arguments.verifier,
        arguments.through,
        &notary,
        &shutdown,
    )?;
    let egress = tokio::spawn(egress.serve(leaving, shutdown.clone()));
    let mut machine = qemu::start(
        &arguments.qemu,
        &arguments.image,
        &vsock,
        &arguments.console,
    )
    .await?;
    // To connect before it listens can wedge the vsock daemon.
    tokio::select! {
        heard = tokio::time::timeout(BOOTS_WITHIN, ready.accept()) => {
            heard.map_err(|_| machine.failure("does not listen"))??;
        }
        () = machine.ended() => return Err(machine.failure("ended").into()),
        () = shutdown.wait() => return Ok(()),
    }
    let (listener, _file) = bind_private(&arguments.inbound).await?;
    announce(&serde_json::json!({ "event": "listening", "socket": arguments.inbound }));
    let inbound = doors::inbound(vsock.of_machine(), &notary);
    let ended = tokio::select! {
        () = inbound.hybrid(listener, keyfold_enclave_runtime::INBOUND_PORT, shutdown.clone()) => false,
        () = machine.ended() => true,
    };
    if ended {
        return Err(machine.failure("ended").into());
    }
    machine.stop().await;
    egress.await?;
    Ok(())
}
