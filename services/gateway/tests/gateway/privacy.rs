//! What a gateway keeps and says of what passes through it.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use keyfold_protocol::delivery::SEALED_TEXT_LEN;
use keyfold_protocol::gateway_api::{RecordPut, RecordVersion, host_path};
use keyfold_protocol::ids::{Digest32, RecordId};
use sha2::{Digest as _, Sha256};

use crate::support::*;

const SEALED: &str = "what-a-client-sealed";
const REPLY: &str = "what-an-enclave-sealed";
const RECORD: &str = "what-an-enclave-stored";
/// A part of what a client's cookie holds, and of what it is to hold.
const COOKIE: &str = "CCCCCCCC";
const SET_COOKIE: &str = "SSSSSSSS";

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// Everything a host records: its whole folder, and its logs at the most talkative level.
#[tokio::test]
async fn storage_and_logs_hold_nothing_of_what_passes_but_the_records_that_were_put() {
    let logs = Captured::default();
    let writer = logs.clone();
    tracing_subscriber::fmt()
        .with_env_filter("trace")
        .with_writer(move || writer.clone())
        .init();
    let setup = Setup::new(1);
    let enclave = Fake::new(INSTANCE).boot(setup.inbound(0));
    enclave.fake.answer_with(200, "message/ohttp-res", REPLY);
    let gateway = setup.start().await;
    let answer = gateway.sealed(INSTANCE, SEALED).await;
    assert_eq!(answer.body(), REPLY);
    // With a cookie, over HTTP/1.1 as the client here speaks it.
    let (slot, sealed) = ("0123456789abcdef", "C".repeat(SEALED_TEXT_LEN));
    *enclave.fake.set_session.lock().unwrap() =
        Some(format!("{slot} 60 {}", "S".repeat(SEALED_TEXT_LEN)));
    for cookie in [
        format!("__Host-keyfold-{slot}={sealed}"),
        format!("__Host-keyfold-{slot}={sealed}C"),
        format!("__Host-keyfold-{slot}={sealed}; __Host-keyfold-{slot}={sealed}"),
    ] {
        let request = http::Request::post(gateway.url(&ohttp(INSTANCE)))
            .header("content-type", "message/ohttp-req")
            .header("keyfold-cookie", slot)
            .header("cookie", cookie);
        gateway.send(request, SEALED.into()).await;
    }
    let beside = enclave.fake.beside.lock().unwrap().clone();
    assert_eq!(beside.as_ref(), Some(&sealed));
    // Refusals must not quote either.
    gateway.sealed(OTHER, SEALED).await;
    gateway
        .post(&attestation(INSTANCE), "application/json", SEALED)
        .await;
    let put = RecordPut {
        record: RecordId::from_bytes([1; 32]),
        version: RecordVersion {
            version: 1,
            hash: Digest32::from_bytes(Sha256::digest(RECORD).into()),
            sealed: RECORD.into(),
        },
    };
    let client = setup.records(0);
    let answer = records(&client, "POST", host_path::RECORD_PUT, Some(&put)).await;
    assert_eq!(answer.status(), 200);

    let kept = files(&setup.config.data_dir);
    assert!(kept.iter().any(|(_, bytes)| holds(bytes, RECORD)));
    for (name, bytes) in &kept {
        assert!(!holds(bytes, SEALED) && !holds(bytes, REPLY), "{name}");
        assert!(!holds(bytes, COOKIE) && !holds(bytes, SET_COOKIE), "{name}");
    }
    gateway.stop().await;

    let names: Vec<_> = files(&setup.config.data_dir)
        .into_iter()
        .map(|f| f.0)
        .collect();
    assert_eq!(names, ["gateway.db", "tls-cert.pem", "tls-key.pem"]);
    let logs = logs.0.lock().unwrap();
    assert!(holds(&logs, "answered with a problem"));
    for text in [SEALED, REPLY, RECORD, COOKIE, SET_COOKIE] {
        assert!(!holds(&logs, text), "{text} is in the logs");
    }
}
