use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::net::{TcpListener, UnixListener, UnixStream};

use super::*;
use crate::shutdown::Shutdown;

fn target(text: &str) -> Target {
    text.parse().unwrap()
}

/// A TCP server that sends back what it gets.
async fn echo() -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    Target::new("127.0.0.1", port).unwrap()
}

fn limits() -> EgressLimits {
    EgressLimits {
        line_timeout: Duration::from_millis(200),
        ..EgressLimits::default()
    }
}

/// A pipe to a proxy with this list.
fn pipe(allowed: AllowList, limits: EgressLimits) -> DuplexStream {
    let (near, far) = duplex(4096);
    let proxy = EgressProxy::new(allowed, limits);
    tokio::spawn(async move { proxy.forward(far).await });
    near
}

#[tokio::test]
async fn an_allowed_target_is_reached_and_bytes_go_both_ways() {
    let to = echo().await;
    let pipe = pipe(AllowList::from_iter([to.clone()]), limits());
    let mut stream = dial_through(pipe, to.host(), to.port()).await.unwrap();
    let sent: Vec<u8> = (0..100_000u32).map(|i| i as u8).collect();
    let mut got = vec![0; sent.len()];
    let (mut read, mut write) = tokio::io::split(&mut stream);
    let (wrote, read) = tokio::join!(write.write_all(&sent), read.read_exact(&mut got));
    wrote.unwrap();
    read.unwrap();
    assert_eq!(got, sent);
}

#[tokio::test]
async fn a_target_that_is_not_on_the_list_is_refused_even_if_it_is_nearly() {
    let to = echo().await;
    let list = AllowList::from_iter([to.clone(), target("idp.example:443")]);
    for (host, port) in [
        ("127.0.0.1", to.port().wrapping_add(1).max(1)),
        ("127.0.0.2", to.port()),
        ("localhost", to.port()),
        ("idp.example.", 443),
        ("sub.idp.example", 443),
        ("idp.example", 444),
        ("169.254.169.254", 80),
    ] {
        let refused = dial_through(pipe(list.clone(), limits()), host, port).await;
        let Err(PipeError::Refused(EgressRefusal::NotAllowed)) = refused else {
            panic!("{host}:{port}: {refused:?}");
        };
    }
}

#[tokio::test]
async fn a_name_may_lead_where_the_host_says() {
    let mut list = AllowList::new();
    list.allow_at(target("SMTP.example:465"), echo().await);
    let mut stream = dial_through(pipe(list, limits()), "smtp.EXAMPLE", 465)
        .await
        .unwrap();
    stream.write_all(b"ehlo").await.unwrap();
    let mut got = [0; 4];
    stream.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"ehlo");
}

#[tokio::test]
async fn a_local_target_is_answered_here_and_only_under_its_own_name() {
    let local = target("records.keyfold.internal:1");
    let service: LocalService = std::sync::Arc::new(|mut pipe| {
        Box::pin(async move {
            let _ = pipe.write_all(b"here").await;
        })
    });
    let dial = async |host: &'static str, port: u16| {
        let (near, far) = duplex(4096);
        let proxy = EgressProxy::new(AllowList::new(), limits())
            .local(local.clone(), std::sync::Arc::clone(&service));
        tokio::spawn(async move { proxy.forward(far).await });
        dial_through(near, host, port).await
    };
    let mut stream = dial("records.keyfold.internal", 1).await.unwrap();
    let mut got = String::new();
    stream.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "here");
    for (host, port) in [("records.keyfold.internal", 2), ("keyfold.internal", 1)] {
        let refused = dial(host, port).await;
        assert!(matches!(
            refused,
            Err(PipeError::Refused(EgressRefusal::NotAllowed))
        ));
    }
}

#[tokio::test]
async fn a_target_that_nobody_listens_on_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let list = AllowList::from_iter([Target::new("127.0.0.1", port).unwrap()]);
    let refused = dial_through(pipe(list, limits()), "127.0.0.1", port).await;
    assert!(matches!(
        refused,
        Err(PipeError::Refused(EgressRefusal::Unreachable))
    ));
}

#[tokio::test]
async fn lines_that_are_none_are_refused() {
    for line in [
        "GET / HTTP/1.1\n".to_owned(),
        "CONNECT idp.example\n".to_owned(),
        "CONNECT idp.example:0443\n".to_owned(),
        "CONNECT idp.example:443 \n".to_owned(),
        "CONNECT  idp.example:443\n".to_owned(),
        "CONNECT idp.example:99999\n".to_owned(),
        "CONNECT ::1:443\n".to_owned(),
        "CONNECT a@b:443\n".to_owned(),
        "CONNECT idp.example:443\r\n".to_owned(),
        "CONNECT idp\0.example:443\n".to_owned(),
        format!("CONNECT {}:443\n", "a".repeat(254)),
        "a".repeat(4000),
    ] {
        let mut pipe = pipe(AllowList::from_iter([target("idp.example:443")]), limits());
        pipe.write_all(line.as_bytes()).await.unwrap();
        let mut answer = String::new();
        pipe.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "ERR malformed\n", "{line:?}");
    }
}

#[tokio::test]
async fn half_a_line_is_dropped_after_its_time() {
    let (mut near, far) = duplex(4096);
    let proxy = EgressProxy::new(AllowList::new(), limits());
    near.write_all(b"CONNECT idp.exam").await.unwrap();
    let ended = proxy.forward(far).await.unwrap_err();
    assert_eq!(ended.kind(), std::io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_connection_ends_when_it_is_idle_or_has_used_up_its_bytes() {
    let to = echo().await;
    let run = async |limits: EgressLimits, send: usize| {
        let (near, far) = duplex(64 * 1024);
        let proxy = EgressProxy::new(AllowList::from_iter([to.clone()]), limits);
        let forwarding = tokio::spawn(async move { proxy.forward(far).await });
        let mut stream = dial_through(near, to.host(), to.port()).await.unwrap();
        stream.write_all(&vec![1; send]).await.unwrap();
        let ended = forwarding.await.unwrap().unwrap_err();
        drop(stream);
        ended.kind()
    };
    let idle = EgressLimits {
        idle_timeout: Duration::from_millis(100),
        ..limits()
    };
    assert_eq!(run(idle, 10).await, std::io::ErrorKind::TimedOut);
    let small = EgressLimits {
        max_bytes: 1000,
        ..limits()
    };
    assert_eq!(run(small, 2000).await, std::io::ErrorKind::QuotaExceeded);
}

#[tokio::test]
async fn one_connection_more_than_allowed_is_told_so_and_the_next_finds_a_place() {
    let to = echo().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("egress");
    let listener = UnixListener::bind(&path).unwrap();
    let (trigger, shutdown) = Shutdown::manual();
    let limits = EgressLimits {
        max_connections: 1,
        ..limits()
    };
    let proxy = EgressProxy::new(AllowList::from_iter([to.clone()]), limits);
    let serving = tokio::spawn(proxy.serve(listener, shutdown));
    let dial = async || {
        let pipe = UnixStream::connect(&path).await.unwrap();
        dial_through(pipe, to.host(), to.port()).await
    };
    let first = dial().await.unwrap();
    let second = dial().await;
    // The refusal may cross our line on a socket that is closed already.
    assert!(matches!(
        second,
        Err(PipeError::Refused(EgressRefusal::Busy) | PipeError::Io(_))
    ));
    drop(first);
    while dial().await.is_err() {
        tokio::task::yield_now().await;
    }
    trigger.trigger();
    serving.await.unwrap();
}

#[tokio::test]
async fn the_hybrid_handshake_leads_to_the_port_that_is_served_and_no_other() {
    let run = async |asked: u32| {
        let (mut near, mut far) = duplex(64);
        let serving = tokio::spawn(async move {
            accept_port(&mut far, 5000).await?;
            far.write_all(b"payload").await
        });
        let connected = connect_port(&mut near, asked).await;
        let mut rest = String::new();
        near.read_to_string(&mut rest).await.unwrap();
        (connected.is_ok(), serving.await.unwrap().is_ok(), rest)
    };
    assert_eq!(run(5000).await, (true, true, "payload".to_owned()));
    assert_eq!(run(5001).await, (false, false, String::new()));
}

#[tokio::test]
async fn hybrid_handshakes_that_are_none_are_refused() {
    for line in [
        "CONNECT\n",
        "CONNECT +5000\n",
        "CONNECT 05000\n",
        "CONNECT 5000 \n",
        "OK 5000\n",
    ] {
        let (mut near, mut far) = duplex(64);
        near.write_all(line.as_bytes()).await.unwrap();
        assert!(accept_port(&mut far, 5000).await.is_err(), "{line:?}");
    }
    for answer in ["OK\n", "OK x\n", "ERR 1\n", "ok 1\n"] {
        let (mut near, mut far) = duplex(64);
        far.write_all(answer.as_bytes()).await.unwrap();
        assert!(connect_port(&mut near, 5000).await.is_err(), "{answer:?}");
    }
    let (mut near, far) = duplex(1024);
    drop(far);
    assert!(connect_port(&mut near, 5000).await.is_err());
}

#[test]
fn targets_are_read_in_one_form_only() {
    for good in ["a.example:1", "127.0.0.1:65535", "[::1]:443"] {
        assert_eq!(target(good).to_string(), good);
    }
    for bad in [
        "",
        ":1",
        "a:",
        "a:0",
        "a:65536",
        "a:+1",
        "::1:1",
        "[a]:1",
        "[1.2.3.4]:1",
        "a b:1",
    ] {
        assert!(bad.parse::<Target>().is_err(), "{bad:?}");
    }
}
