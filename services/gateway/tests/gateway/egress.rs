use keyfold_gateway_service::EgressTarget;
use keyfold_net::pipe::{EgressRefusal, PipeError, Target, dial_through};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};

use crate::support::*;

/// A TCP server that says one word to whoever comes.
async fn server(word: &'static [u8]) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(word).await;
        }
    });
    Target::new("127.0.0.1", port).unwrap()
}

async fn dial(setup: &Setup, host: &str, port: u16) -> Result<String, PipeError> {
    let pipe = UnixStream::connect(setup.outbound(0)).await.unwrap();
    let mut stream = dial_through(pipe, host, port).await?;
    let mut said = String::new();
    stream.read_to_string(&mut said).await?;
    Ok(said)
}

#[tokio::test]
async fn an_enclave_reaches_what_is_on_the_list_and_nothing_else() {
    let (listed, unlisted) = (server(b"listed").await, server(b"unlisted").await);
    let mut setup = Setup::new(1);
    setup.config.egress = vec![
        EgressTarget {
            target: listed.clone(),
            at: None,
        },
        EgressTarget {
            target: "smtp.example:465".parse().unwrap(),
            at: Some(server(b"mail").await),
        },
    ];
    let gateway = setup.start().await;
    let dialled = dial(&setup, listed.host(), listed.port()).await;
    assert_eq!(dialled.unwrap(), "listed");
    assert_eq!(dial(&setup, "smtp.example", 465).await.unwrap(), "mail");
    for (host, port) in [
        (unlisted.host(), unlisted.port()),
        ("localhost", listed.port()),
        ("smtp.example", 25),
        ("records.keyfold.internal", 2),
        ("127.0.0.1", gateway.address.port()),
    ] {
        let refused = dial(&setup, host, port).await;
        assert!(
            matches!(refused, Err(PipeError::Refused(EgressRefusal::NotAllowed))),
            "{host}:{port} {refused:?}"
        );
    }
    gateway.stop().await;
}
