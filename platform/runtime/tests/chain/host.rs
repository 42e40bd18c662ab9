//! Nodes behind TLS, the host that lets an enclave reach them, and the enclave's machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use alloy_primitives::{Address, hex};
use keyfold_enclave::web::Node;
use keyfold_enclave::{AttestRequest, Peer, PeerRequest, PeerTrust, Platform as _, PlatformError};
use keyfold_enclave_runtime::{Machine, SecurityModule};
use keyfold_identity::oidc::url::HttpsUrl;
use keyfold_net::client::UnixConnector;
use keyfold_net::pipe::{AllowList, EgressLimits, EgressProxy, Target};
use keyfold_net::{Shutdown, ShutdownTrigger};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream, UnixListener};

use crate::node::Anvil;

/// A machine that has no security module worth the name.
pub(crate) struct NoModule;

impl SecurityModule for NoModule {
    fn random(&self, _: &mut [u8]) -> Result<(), PlatformError> {
        Err(PlatformError::Random)
    }

    fn attest(&self, _: AttestRequest<'_>) -> Result<Vec<u8>, PlatformError> {
        Err(PlatformError::Attest)
    }

    fn extend_pcr16_and_lock(&self, _: &[u8]) -> Result<(), PlatformError> {
        Err(PlatformError::Pcr)
    }
}

pub(crate) struct Host {
    pub(crate) machine: Arc<Machine<NoModule>>,
    pub(crate) nodes: Vec<Node>,
    /// TLS connections to the nodes, ever.
    connections: Arc<AtomicUsize>,
    _anvils: Vec<Anvil>,
    _folder: tempfile::TempDir,
    _trigger: ShutdownTrigger,
}

impl Host {
    /// Starts so many nodes, each a chain of its own with the same id.
    pub(crate) async fn start(chain: u64, nodes: usize) -> Self {
        let connections = Arc::new(AtomicUsize::new(0));
        let mut allowed = AllowList::new();
        let (mut anvils, mut reached) = (Vec::new(), Vec::new());
        for number in 0..nodes {
            let anvil = Anvil::start(chain);
            let name = format!("rpc-{number}.example");
            let (port, roots_pem) = terminate(&name, anvil.port, Arc::clone(&connections)).await;
            let at = Target::new("127.0.0.1", port).unwrap();
            allowed.allow_at(Target::new(&name, 443).unwrap(), at);
            anvils.push(anvil);
            reached.push(Node {
                url: HttpsUrl::parse(&format!("https://{name}/")).unwrap(),
                roots_pem: Some(roots_pem),
            });
        }
        let folder = tempfile::tempdir().unwrap();
        let outbound = folder.path().join("out.sock");
        let listener = UnixListener::bind(&outbound).unwrap();
        let (trigger, shutdown) = Shutdown::manual();
        tokio::spawn(EgressProxy::new(allowed, EgressLimits::default()).serve(listener, shutdown));
        Self {
            machine: Machine::new(NoModule, UnixConnector::new(outbound)),
            nodes: reached,
            connections,
            _anvils: anvils,
            _folder: folder,
            _trigger: trigger,
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    async fn rpc(&self, node: usize, method: &str, params: Value) -> Value {
        let node = &self.nodes[node];
        let peer = Peer {
            authority: format!("{}:{}", node.url.host(), node.url.port()),
            trust: PeerTrust::TlsName {
                roots_pem: node.roots_pem.clone(),
            },
        };
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let request = PeerRequest {
            method: "POST",
            path: "/".to_owned(),
            headers: vec![],
            body: body.to_string().into_bytes(),
            max_response: 200_000,
            timeout: Duration::from_secs(60),
        };
        let response = self.machine.call(&peer, request).await.unwrap();
        let mut answer: Value = serde_json::from_slice(&response.body).unwrap();
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].take()
    }

    pub(crate) async fn set_code(&self, node: usize, address: Address, code: &str) {
        let params = json!([address, format!("0x{code}")]);
        self.rpc(node, "anvil_setCode", params).await;
    }

    pub(crate) async fn code(&self, address: Address) -> String {
        let code = self.rpc(0, "eth_getCode", json!([address, "latest"])).await;
        code.as_str().unwrap().to_owned()
    }

    /// Sends a transaction, paid by the node.
    pub(crate) async fn send(&self, to: Address, data: &[u8]) {
        let accounts = self.rpc(0, "eth_accounts", json!([])).await;
        let call = json!({ "from": accounts[0], "to": to, "data": hex::encode_prefixed(data) });
        let hash = self.rpc(0, "eth_sendTransaction", json!([call])).await;
        // The node answers before it has made the block.
        let receipt = loop {
            let asked = json!([hash]);
            let receipt = self.rpc(0, "eth_getTransactionReceipt", asked).await;
            if !receipt.is_null() {
                break receipt;
            }
        };
        assert_eq!(receipt["status"], "0x1", "{receipt}");
    }
}

/// Ends TLS for that name in front of a port. Returns where, and the root of the certificate.
async fn terminate(name: &str, behind: u16, connections: Arc<AtomicUsize>) -> (u16, Arc<str>) {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &ca).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let tls = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, connections) = (tls.clone(), Arc::clone(&connections));
            tokio::spawn(async move {
                let Ok(mut stream) = tls.accept(stream).await else {
                    return;
                };
                connections.fetch_add(1, Ordering::SeqCst);
                let mut node = TcpStream::connect(("127.0.0.1", behind)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut node).await;
            });
        }
    });
    (port, ca.pem().into())
}
