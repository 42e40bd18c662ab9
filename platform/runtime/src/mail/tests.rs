//! Mail to a real SMTP server through a real pipe, and what a host could put in its place.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use keyfold_crypto::testing::SeededRng;
use keyfold_identity::{EmailAddress, OneTimeCode, mail as compose};
use keyfold_net::client::UnixConnector;
use keyfold_net::pipe::{AllowList, EgressLimits, EgressProxy, Target};
use keyfold_net::{Shutdown, ShutdownTrigger};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::UnixListener;
use tokio::process::{Child, Command};

use super::*;

mod starttls;

const SERVER: &str = "mail.example";

struct Server {
    folder: tempfile::TempDir,
    roots_pem: String,
    outbound: PathBuf,
    port: u16,
    /// Ends the server when its standard input closes.
    _process: Child,
    _trigger: ShutdownTrigger,
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

async fn server(name_in_certificate: &str, arguments: &[&str]) -> Server {
    server_of("--implicit-tls", name_in_certificate, arguments).await
}

async fn server_of(security: &str, name_in_certificate: &str, arguments: &[&str]) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let ca = authority();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name_in_certificate.to_owned()])
        .unwrap()
        .signed_by(&key, &ca)
        .unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(file("key.pem"), key.serialize_pem()).unwrap();

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/smtp-sink.mjs");
    let mut process = Command::new("node")
        .arg(script)
        .arg(security)
        .args([
            "--cert".into(),
            file("cert.pem"),
            "--key".into(),
            file("key.pem"),
        ])
        .args(["--dir".into(), file("mails")])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("node, for the mail server; run `make setup`");
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let line = lines
        .next_line()
        .await
        .unwrap()
        .expect("the mail server's port; run `make setup`");
    let listening: serde_json::Value = serde_json::from_str(&line).unwrap();
    let port = u16::try_from(listening["port"].as_u64().unwrap()).unwrap();

    let outbound = file("out.sock");
    Server {
        _trigger: host(&outbound, port),
        roots_pem: ca.pem(),
        outbound,
        port,
        folder,
        _process: process,
    }
}

/// A host that forwards to a mail server at that port.
fn host(outbound: &Path, port: u16) -> ShutdownTrigger {
    let mut allowed = AllowList::new();
    allowed.allow_at(
        Target::new(SERVER, 465).unwrap(),
        Target::new("127.0.0.1", port).unwrap(),
    );
    let listener = UnixListener::bind(outbound).unwrap();
    let (trigger, shutdown) = Shutdown::manual();
    tokio::spawn(EgressProxy::new(allowed, EgressLimits::default()).serve(listener, shutdown));
    trigger
}

impl Server {
    fn settings(&self) -> MailSettings {
        MailSettings {
            host: SERVER.into(),
            port: 465,
            security: MailSecurity::ImplicitTls,
            from: "code@app.example".into(),
            username: None,
            password: None,
            roots_pem: Some(self.roots_pem.clone()),
        }
    }

    async fn send(&self, settings: &MailSettings) -> Result<(), MailError> {
        send(&pipe_to(&self.outbound), settings, &mail()).await
    }

    fn received(&self) -> Vec<String> {
        let Ok(folder) = std::fs::read_dir(self.folder.path().join("mails")) else {
            return vec![];
        };
        folder
            .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
            .collect()
    }
}

fn pipe_to(outbound: &Path) -> Outbound {
    Arc::new(UnixConnector::new(outbound))
}

fn mail() -> ComposedMail {
    let name = compose::DisplayName::parse("App").unwrap();
    let sender = compose::Sender {
        name: name.clone(),
        address: EmailAddress::parse("code@app.example").unwrap(),
    };
    let to = EmailAddress::parse("someone@mail.example").unwrap();
    let code = OneTimeCode::random(&mut SeededRng::new(5));
    ComposedMail::with_code(
        &sender,
        &to,
        &name,
        &Default::default(),
        &code,
        1_800_000_000,
        [1; 16],
    )
    .unwrap()
}

#[tokio::test]
async fn a_mail_arrives_over_tls() {
    let server = server(SERVER, &[]).await;
    assert_eq!(server.send(&server.settings()).await, Ok(()));
    let mails = server.received();
    assert_eq!(mails.len(), 1);
    assert!(
        mails[0].contains("Your code to sign in to App is"),
        "{}",
        mails[0]
    );
}

#[tokio::test]
async fn a_server_that_the_host_put_there_gets_no_mail() {
    let theirs = server(SERVER, &[]).await;
    let ours = server(SERVER, &[]).await;
    let settings = MailSettings {
        roots_pem: Some(ours.roots_pem.clone()),
        ..theirs.settings()
    };
    assert_eq!(theirs.send(&settings).await, Err(MailError::Untrusted));
    let public = MailSettings {
        roots_pem: None,
        ..theirs.settings()
    };
    assert_eq!(theirs.send(&public).await, Err(MailError::Untrusted));
    assert!(theirs.received().is_empty());
}

#[tokio::test]
async fn a_certificate_for_another_name_gets_no_mail() {
    let server = server("other.example", &[]).await;
    assert_eq!(
        server.send(&server.settings()).await,
        Err(MailError::Untrusted)
    );
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn a_server_off_the_allow_list_is_out_of_reach() {
    let server = server(SERVER, &[]).await;
    let settings = MailSettings {
        host: "elsewhere.example".into(),
        ..server.settings()
    };
    assert_eq!(server.send(&settings).await, Err(MailError::Unreachable));
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_a_right_one_accepted() {
    let server = server(SERVER, &["--user", "app", "--pass", "secret"]).await;
    let with = |password: &str| MailSettings {
        username: Some("app".into()),
        password: Some(password.to_owned().into()),
        ..server.settings()
    };
    assert_eq!(server.send(&with("wrong")).await, Err(MailError::Refused));
    assert_eq!(
        server.send(&server.settings()).await,
        Err(MailError::Refused)
    );
    assert_eq!(server.send(&with("secret")).await, Ok(()));
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_user_name_without_a_password_or_the_reverse_sends_nothing() {
    // A server that would take the mail from anybody.
    let server = server(SERVER, &[]).await;
    let only = |username: Option<&str>, password: Option<&str>| MailSettings {
        username: username.map(Into::into),
        password: password.map(|text| text.to_owned().into()),
        ..server.settings()
    };
    for settings in [only(Some("app"), None), only(None, Some("secret"))] {
        assert_eq!(server.send(&settings).await, Err(MailError::Settings));
    }
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn a_server_that_never_ends_its_line_is_cut_off() {
    use tokio::io::AsyncReadExt as _;
    let mut endless = Mailed::new(b"", tokio::io::repeat(b'2'));
    let mut heard = Vec::new();
    let error = endless.read_to_end(&mut heard).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
    assert!(heard.len() as u64 <= MAX_REPLIES, "{}", heard.len());
}
