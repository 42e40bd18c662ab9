//! A holder as a process: sockets, housekeeping, and an orderly end.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use getrandom::SysRng;
use keyfold_net::{ServeLimits, Server, Shutdown, health};
use keyfold_protocol::realm::HolderCard;
use rand_core::UnwrapErr;
use tokio::net::TcpListener;

use crate::clock::SystemClock;
use crate::config::{HolderConfig, Trust};
use crate::holder::{Holder, HolderOpenError};
use crate::http::router;
use crate::keys::{HolderKeys, KeysError};

/// Between two rounds of housekeeping.
const PURGE_EVERY: Duration = Duration::from_secs(300);

/// Why a holder did not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Keys or configuration are not usable.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The database is not usable.
    #[error(transparent)]
    Open(#[from] HolderOpenError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Makes a holder's keys and returns its card, for the genesis plan.
///
/// # Errors
///
/// [`KeysError`]; keys that are there already are never replaced.
pub fn init(config: &HolderConfig) -> Result<HolderCard, KeysError> {
    Ok(HolderKeys::init(config, &mut UnwrapErr(SysRng))?.card(config))
}

/// Returns the card of a holder whose keys were made.
///
/// # Errors
///
/// [`KeysError`].
pub fn card(config: &HolderConfig) -> Result<HolderCard, KeysError> {
    Ok(HolderKeys::load(config)?.card(config))
}

/// Runs a holder until `shutdown` is ready, then finishes what is under way.
///
/// `ready` is called once, with the address it listens on.
///
/// # Errors
///
/// [`RunError`], before it listens; afterwards nothing ends it but `shutdown`.
///
/// # Security
///
/// `trust` decides whose attestation documents are believed. Release binaries pass
/// [`Trust::aws_nitro`] and nothing else.
pub async fn run(
    config: HolderConfig,
    trust: Trust,
    ready: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let address = config.listen;
    let listen = |source| RunError::Listen { address, source };
    let max_per_peer = Some(config.connections_per_address);
    let keys = HolderKeys::load(&config)?;
    let tls = keys.tls().config();
    if trust.policy.allowed().is_empty() {
        tracing::warn!("no measurement is approved, so no enclave can register");
    }
    let holder = Holder::open(config, keys, trust, Arc::new(SystemClock)).await?;
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let bound = listener.local_addr().map_err(listen)?;

    let (trigger, ending) = Shutdown::manual();
    let readiness = health::Readiness::new();
    let app = router(Arc::clone(&holder)).merge(health::router(readiness.clone()));
    let limits = ServeLimits {
        max_connections: 1024,
        max_per_peer,
        ..ServeLimits::default()
    };
    let server = Server::new(app)
        .limits(limits)
        .tls(listener, tls, ending.clone());
    let housekeeping = keep_house(Arc::clone(&holder), ending);
    readiness.set(true);
    let until = async move {
        shutdown.await;
        readiness.set(false);
        trigger.trigger();
    };
    tracing::info!(address = %bound, name = %holder.card().name, "the holder listens");
    ready(bound);
    tokio::join!(server, housekeeping, until);
    holder.close().await;
    Ok(())
}

async fn keep_house(holder: Arc<Holder>, ending: Shutdown) {
    loop {
        tokio::select! {
            () = ending.wait() => return,
            () = tokio::time::sleep(PURGE_EVERY) => {}
        }
        if let Err(error) = holder.purge().await {
            tracing::warn!(%error, "housekeeping failed");
        }
    }
}
