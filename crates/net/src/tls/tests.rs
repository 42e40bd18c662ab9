use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustls::version;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

fn names() -> Vec<String> {
    vec!["localhost".to_owned()]
}

fn server(dir: &Path) -> ServerTls {
    ServerTls::from_pem_or_generate(dir, &names()).unwrap()
}

/// One handshake over a pair of pipes; returns what the client says.
async fn handshake(server: &ServerTls, client: Arc<rustls::ClientConfig>) -> std::io::Result<()> {
    handshake_with(server.config(), client).await
}

async fn handshake_with(
    server: Arc<rustls::ServerConfig>,
    client: Arc<rustls::ClientConfig>,
) -> std::io::Result<()> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let acceptor = TlsAcceptor::from(server);
    let serving = tokio::spawn(async move {
        let mut stream = acceptor.accept(far).await?;
        stream.write_all(b"x").await?;
        stream.shutdown().await
    });
    let name = ServerName::try_from("localhost").unwrap();
    let result = async {
        let mut stream = TlsConnector::from(client).connect(name, near).await?;
        stream.read_u8().await.map(drop)
    }
    .await;
    let _ = serving.await.unwrap();
    result
}

#[tokio::test]
async fn the_pinned_key_is_accepted_and_the_key_of_another_is_not() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, two) = (server(one.path()), server(two.path()));
    handshake(&one, client_config_pinned(one.pin()).unwrap())
        .await
        .unwrap();
    assert!(
        handshake(&two, client_config_pinned(one.pin()).unwrap())
            .await
            .is_err()
    );
}

/// The certificate is public; who shows it without its key must not pass.
#[tokio::test]
async fn a_stolen_certificate_without_its_key_is_refused() {
    #[derive(Debug)]
    struct Thief(Arc<rustls::sign::CertifiedKey>);
    impl rustls::server::ResolvesServerCert for Thief {
        fn resolve(
            &self,
            _: rustls::server::ClientHello<'_>,
        ) -> Option<Arc<rustls::sign::CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let victim = server(dir.path());
    let own_key = rcgen::KeyPair::generate().unwrap().serialize_der();
    let own_key = rustls_pki_types::PrivateKeyDer::try_from(own_key).unwrap();
    let signing = rustls::crypto::aws_lc_rs::sign::any_ecdsa_type(&own_key).unwrap();
    let shown = rustls::sign::CertifiedKey::new(vec![victim.certificate().clone()], signing);
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Thief(Arc::new(shown))));

    let (near, far) = tokio::io::duplex(64 * 1024);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let serving = tokio::spawn(async move { acceptor.accept(far).await.map(drop) });
    let client = TlsConnector::from(client_config_pinned(victim.pin()).unwrap());
    let name = ServerName::try_from("localhost").unwrap();
    let refused = client.connect(name, near).await.err().unwrap().to_string();
    assert!(
        refused.contains("BadSignature") || refused.contains("signature"),
        "{refused}"
    );
    let _ = serving.await;
}

#[tokio::test]
async fn a_client_that_speaks_tls_1_2_only_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(server.certificate().clone()).unwrap();
    let config = |versions: &[&'static rustls::SupportedProtocolVersion]| {
        let config = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        Arc::new(config)
    };
    handshake(&server, config(&[&version::TLS13]))
        .await
        .unwrap();
    assert!(
        handshake(&server, config(&[&version::TLS12]))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_server_that_speaks_tls_1_2_only_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let pin = server(dir.path()).pin();
    let pem = |name| std::fs::read(dir.path().join(name)).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(&pem("tls-cert.pem")).unwrap()];
    let old = |version| {
        let key = PrivateKeyDer::from_pem_slice(&pem("tls-key.pem")).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.clone(), key)
            .unwrap();
        Arc::new(config)
    };
    for client in [
        client_config_pinned(pin).unwrap(),
        client_config_with_roots(&pem("tls-cert.pem")).unwrap(),
    ] {
        handshake_with(old(&version::TLS13), Arc::clone(&client))
            .await
            .unwrap();
        assert!(handshake_with(old(&version::TLS12), client).await.is_err());
    }
}

#[tokio::test]
async fn a_client_with_other_roots_refuses_and_with_these_accepts() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let pem = |dir: &Path| std::fs::read(dir.join("tls-cert.pem")).unwrap();
    let (server_one, _) = (server(one.path()), server(two.path()));
    handshake(
        &server_one,
        client_config_with_roots(&pem(one.path())).unwrap(),
    )
    .await
    .unwrap();
    let other = client_config_with_roots(&pem(two.path())).unwrap();
    assert!(handshake(&server_one, other).await.is_err());
    assert!(matches!(
        client_config_with_roots(b""),
        Err(TlsError::Malformed)
    ));
}

#[test]
fn the_key_is_private_and_stays_the_same_from_start_to_start() {
    let dir = tempfile::tempdir().unwrap();
    let first = server(dir.path()).pin();
    assert_eq!(server(dir.path()).pin(), first);
    let mode = std::fs::metadata(dir.path().join("tls-key.pem"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(first.to_string().parse::<SpkiPin>(), Ok(first));
    assert!("00".parse::<SpkiPin>().is_err());
}

#[test]
fn a_key_that_others_may_read_or_a_link_to_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    server(dir.path());
    let key = dir.path().join("tls-key.pem");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let load = || ServerTls::from_pem_or_generate(dir.path(), &names());
    assert!(matches!(load(), Err(TlsError::KeyNotPrivate { .. })));
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(&key, dir.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("elsewhere"), &key).unwrap();
    assert!(matches!(load(), Err(TlsError::KeyNotPrivate { .. })));
}

/// The operator's certificate must survive the loss of its key, and the key that of its certificate.
#[test]
fn one_of_key_and_certificate_alone_is_refused_and_left_as_it_is() {
    for (lost, left) in [
        ("tls-key.pem", "tls-cert.pem"),
        ("tls-cert.pem", "tls-key.pem"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        server(dir.path());
        let before = std::fs::read(dir.path().join(left)).unwrap();
        std::fs::remove_file(dir.path().join(lost)).unwrap();
        let refused = ServerTls::from_pem_or_generate(dir.path(), &names());
        assert!(
            matches!(&refused, Err(TlsError::Incomplete { absent, .. }) if absent.ends_with(lost)),
            "{refused:?}"
        );
        assert_eq!(std::fs::read(dir.path().join(left)).unwrap(), before);
        assert!(!dir.path().join(lost).exists());
    }
}

#[test]
fn loading_makes_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let missing = ServerTls::load(dir.path());
    assert!(matches!(missing, Err(TlsError::Missing { .. })));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let pin = server(dir.path()).pin();
    assert_eq!(ServerTls::load(dir.path()).unwrap().pin(), pin);
}

#[test]
fn a_key_of_another_user_is_refused() {
    // Only root can give a file away.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    server(dir.path());
    std::os::unix::fs::chown(dir.path().join("tls-key.pem"), Some(65_534), None).unwrap();
    let refused = ServerTls::load(dir.path());
    assert!(matches!(
        refused,
        Err(TlsError::KeyNotOurs { owner: 65_534, .. })
    ));
}

#[test]
fn a_certificate_over_another_key_is_refused() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    server(one.path());
    server(two.path());
    let read = |dir: &Path, name| std::fs::read(dir.join(name)).unwrap();
    let mixed = ServerTls::from_pem(
        &read(one.path(), "tls-cert.pem"),
        &read(two.path(), "tls-key.pem"),
    );
    assert!(matches!(mixed, Err(TlsError::Config(_))));
    assert!(matches!(
        ServerTls::from_pem(b"", b""),
        Err(TlsError::Malformed)
    ));
}
