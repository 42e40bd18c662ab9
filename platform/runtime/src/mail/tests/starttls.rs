//! STARTTLS: with a real server that requires it, and with ones that would rather not.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;

/// What a client says before it can know who listens.
const CLEAR: &[u8] = b"EHLO [127.0.0.1]\r\nSTARTTLS\r\n";

fn starttls(server: &Server) -> MailSettings {
    MailSettings {
        security: MailSecurity::Starttls,
        ..server.settings()
    }
}

#[tokio::test]
async fn a_mail_arrives_over_tls_that_was_agreed_on() {
    let server = server_of("--starttls", SERVER, &["--user", "app", "--pass", "secret"]).await;
    let with = |password: &str| MailSettings {
        username: Some("app".into()),
        password: Some(password.to_owned().into()),
        ..starttls(&server)
    };
    assert_eq!(server.send(&with("wrong")).await, Err(MailError::Refused));
    assert_eq!(server.send(&with("secret")).await, Ok(()));
    let mails = server.received();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].contains("Your code to sign in to App is"));
}

#[tokio::test]
async fn nothing_of_a_mail_is_said_before_tls() {
    let server = server_of("--starttls", SERVER, &["--user", "app", "--pass", "secret"]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let behind = server.port;
    let said: JoinHandle<Vec<u8>> = tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let server = TcpStream::connect(("127.0.0.1", behind)).await.unwrap();
        let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
            (client.into_split(), server.into_split());
        let back = tokio::spawn(async move {
            let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
        });
        let mut said = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
            said.extend_from_slice(&buffer[..count]);
            if to_server.write_all(&buffer[..count]).await.is_err() {
                break;
            }
        }
        back.abort();
        said
    });
    let outbound = server.folder.path().join("tapped.sock");
    let _trigger = host(&outbound, port);
    let settings = MailSettings {
        username: Some("app".into()),
        password: Some("secret".to_owned().into()),
        ..starttls(&server)
    };
    assert_eq!(send(&pipe_to(&outbound), &settings, &mail()).await, Ok(()));
    assert_eq!(server.received().len(), 1);
    let said = said.await.unwrap();
    let rest = said.strip_prefix(CLEAR).unwrap();
    // A TLS record of a handshake.
    assert_eq!(rest[0], 22);
    for secret in ["app.example", "someone", "AUTH", "MAIL"] {
        let found = said
            .windows(secret.len())
            .any(|part| part == secret.as_bytes());
        assert!(!found, "{secret}");
    }
}

/// A server in the clear that says these things, one after each line it hears, and then listens.
/// Returns how sending to it ended, and what it heard.
async fn send_to(says: &'static [&'static [u8]]) -> (Result<(), MailError>, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server: JoinHandle<Vec<u8>> = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        for (number, line) in says.iter().enumerate() {
            if number > 0 {
                loop {
                    match stream.read_u8().await {
                        Ok(byte) => heard.push(byte),
                        Err(_) => return heard,
                    }
                    if heard.ends_with(b"\r\n") {
                        break;
                    }
                }
            }
            let _ = stream.write_all(line).await;
        }
        let _ = stream.read_to_end(&mut heard).await;
        heard
    });
    let folder = tempfile::tempdir().unwrap();
    let outbound = folder.path().join("out.sock");
    let _trigger = host(&outbound, port);
    let settings = MailSettings {
        host: SERVER.into(),
        port: 465,
        security: MailSecurity::Starttls,
        from: "code@app.example".into(),
        username: Some("app".into()),
        password: Some("secret".to_owned().into()),
        roots_pem: None,
    };
    let sent = send(&pipe_to(&outbound), &settings, &mail()).await;
    (sent, server.await.unwrap())
}

const GREETING: &[u8] = b"220 mail.example\r\n";
const OFFER: &[u8] = b"250-mail.example\r\n250-8BITMIME\r\n250 STARTTLS\r\n";

#[tokio::test]
async fn a_server_that_does_not_begin_with_tls_gets_no_mail() {
    let only_hello = b"EHLO [127.0.0.1]\r\n";
    for (says, error, heard) in [
        // Somebody on the way has taken the offer out, or put another in its place.
        (
            &[GREETING, b"250-mail.example\r\n250 AUTH PLAIN\r\n"][..],
            MailError::NoStarttls,
            &only_hello[..],
        ),
        (
            &[GREETING, b"250 XSTARTTLS\r\n"],
            MailError::NoStarttls,
            only_hello,
        ),
        (
            &[GREETING, b"502 no EHLO\r\n"],
            MailError::NoStarttls,
            only_hello,
        ),
        (
            &[GREETING, OFFER, b"454 not now\r\n"],
            MailError::NoStarttls,
            CLEAR,
        ),
        (&[b"554 go away\r\n"], MailError::Unreachable, b""),
        (
            &[GREETING, b"250-a\r\n220 STARTTLS\r\n"],
            MailError::Unreachable,
            only_hello,
        ),
        (&[b"220mail.example\r\n"], MailError::Unreachable, b""),
    ] {
        let (sent, said) = send_to(says).await;
        assert_eq!((sent, &said[..]), (Err(error), heard));
    }
}

#[tokio::test]
async fn what_is_put_behind_the_last_reply_is_not_believed() {
    let (sent, heard) = send_to(&[
        GREETING,
        OFFER,
        // As if TLS had begun and everything gone well.
        b"220 go\r\n250-mail.example\r\n250 AUTH PLAIN\r\n235 in\r\n250 ok\r\n250 ok\r\n354 go\r\n250 kept\r\n",
    ])
    .await;
    assert_eq!(sent, Err(MailError::Unreachable));
    let rest = heard.strip_prefix(CLEAR).unwrap();
    assert_eq!(rest[0], 22);
    for secret in ["app", "AUTH", "MAIL"] {
        let found = heard
            .windows(secret.len())
            .any(|part| part == secret.as_bytes());
        assert!(!found, "{secret}");
    }
}

#[tokio::test]
async fn a_reply_in_the_clear_is_bounded() {
    let line: &'static [u8] = Vec::leak(vec![b'2'; 1024 * 1024]);
    let lines: &'static [u8] = Vec::leak(b"220-more\r\n".repeat(100_000));
    for endless in [line, lines] {
        let (sent, heard) = send_to(Vec::leak(vec![endless])).await;
        assert_eq!((sent, heard.len()), (Err(MailError::Unreachable), 0));
    }
}

#[tokio::test]
async fn the_certificate_is_the_servers_also_after_starttls() {
    let theirs = server_of("--starttls", SERVER, &[]).await;
    let others = server_of("--starttls", "other.example", &[]).await;
    let settings = MailSettings {
        roots_pem: Some(others.roots_pem.clone()),
        ..starttls(&theirs)
    };
    assert_eq!(theirs.send(&settings).await, Err(MailError::Untrusted));
    assert_eq!(
        others.send(&starttls(&others)).await,
        Err(MailError::Untrusted)
    );
    assert!(theirs.received().is_empty() && others.received().is_empty());
}

#[tokio::test]
async fn a_server_with_starttls_is_told_nothing_where_tls_is_to_come_first() {
    let server = server_of("--starttls", SERVER, &[]).await;
    assert_eq!(
        server.send(&server.settings()).await,
        Err(MailError::Unreachable)
    );
    assert!(server.received().is_empty());
}
