//! Putting it together: what starts, in which order it ends.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt as _;
use keyfold_net::client::{ClientLimits, TcpConnector, TlsConnector};
use keyfold_net::health::Readiness;
use keyfold_net::pipe::{EgressLimits, EgressProxy, Target};
use keyfold_net::serve::{Peer, ServeLimits, serve_connection};
use keyfold_net::tls::client_config_pinned;
use keyfold_net::{HttpClient, Server, ServerTls, Shutdown, SpkiPin};
use keyfold_protocol::gateway_api::HOST_AUTHORITY;
use keyfold_storage::{Database, migrate};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::api::{self, Gateway, Relayer};
use crate::config::{GatewayConfig, RelayerConfig};
use crate::enclaves::Enclaves;
use crate::error::GatewayError;
use crate::host;
use crate::origin::Origins;
use crate::records::{MIGRATIONS, RealmStore, RecordStore, TreeStore};

/// Makes the folders and the TLS key; what exists is kept.
///
/// Returns the pin of the TLS key, by which clients that want to may know this gateway.
///
/// # Errors
///
/// [`GatewayError`].
pub fn init(config: &GatewayConfig) -> Result<SpkiPin, GatewayError> {
    config.check()?;
    for folder in [config.data_dir.as_path(), config.tls_dir()] {
        private_folder(folder)?;
    }
    Ok(ServerTls::from_pem_or_generate(config.tls_dir(), &config.names)?.pin())
}

/// Serves until the shutdown; `ready` is told the public address once everything listens.
///
/// When the shutdown begins, public requests under way are finished first, while the enclaves can
/// still reach their holders and records; then the pipes close.
///
/// # Errors
///
/// [`GatewayError`] if it cannot start.
pub async fn run(
    config: GatewayConfig,
    ready: impl FnOnce(SocketAddr),
    shutdown: Shutdown,
) -> Result<(), GatewayError> {
    config.check()?;
    // What makes a key is `init` alone: a new one here would be one that no client knows.
    let tls = ServerTls::load(config.tls_dir())?;
    let db = Database::open(config.database_path()).await?;
    migrate(&db, MIGRATIONS).await?;
    let realm = RealmStore::load(db.clone()).await?;
    let relayer = config.relayer.as_ref().map(relayer).transpose()?;
    let readiness = Readiness::new();
    let enclaves = Arc::new(Enclaves::new(&config.enclaves, readiness.clone()));

    let (end_pipes, pipes_shutdown) = Shutdown::manual();
    let mut tasks = JoinSet::new();
    let proxy = egress(&config, &db, &realm, &pipes_shutdown)?;
    let outbound: BTreeSet<_> = config.enclaves.iter().map(|it| &it.outbound).collect();
    for outbound in outbound {
        let failed = format!("cannot listen on {outbound}");
        let listening = outbound.listen().await.map_err(GatewayError::io(failed))?;
        tasks.spawn(listening.serve(proxy.clone(), pipes_shutdown.clone()));
    }
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(GatewayError::io(format!(
            "cannot listen on {}",
            config.listen
        )))?;
    let address = listener
        .local_addr()
        .map_err(GatewayError::io("no local address"))?;
    tasks.spawn(Arc::clone(&enclaves).watch(pipes_shutdown));

    let gateway = Arc::new(Gateway {
        enclaves,
        realm,
        trees: TreeStore::new(db.clone()),
        relayer,
        origins: Origins::new(&config.browser_origins),
        discovery: config.public_url.as_ref().map(api::discovery::metadata),
    });
    let router = api::router(gateway, &config, readiness);
    tracing::info!(%address, enclaves = config.enclaves.len(), "the gateway listens");
    ready(address);
    let limits = ServeLimits {
        trusted_proxies: config.trusted_proxies,
        ..ServeLimits::default()
    };
    Server::new(router)
        .limits(limits)
        .tls(listener, tls.config(), shutdown)
        .await;

    end_pipes.trigger();
    while tasks.join_next().await.is_some() {}
    db.close().await;
    Ok(())
}

/// The host's side of the outbound pipes: the allow-list, and the record store under its own name.
fn egress(
    config: &GatewayConfig,
    db: &Database,
    realm: &RealmStore,
    shutdown: &Shutdown,
) -> Result<EgressProxy, GatewayError> {
    let records: Target = HOST_AUTHORITY
        .parse()
        .map_err(std::io::Error::from)
        .map_err(GatewayError::io("the record store has no name"))?;
    let router = host::router(
        RecordStore::new(db.clone()),
        realm.clone(),
        TreeStore::new(db.clone()),
    );
    let limits = Arc::new(ServeLimits::default());
    let shutdown = shutdown.clone();
    let service = move |pipe| {
        let (router, limits) = (router.clone(), Arc::clone(&limits));
        let shutdown = shutdown.clone();
        async move { serve_connection(pipe, router, Peer(None), &limits, &shutdown).await }.boxed()
    };
    Ok(
        EgressProxy::new(config.allow_list(), EgressLimits::default())
            .local(records, Arc::new(service)),
    )
}

fn relayer(config: &RelayerConfig) -> Result<Relayer, GatewayError> {
    let connector = TlsConnector::new(TcpConnector, client_config_pinned(config.spki_sha256)?);
    Ok(Relayer {
        authority: config.address.to_string(),
        client: HttpClient::new(connector, ClientLimits::default()),
    })
}

fn private_folder(folder: &Path) -> Result<(), GatewayError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(GatewayError::io(format!(
            "cannot make {}",
            folder.display()
        )))
}
