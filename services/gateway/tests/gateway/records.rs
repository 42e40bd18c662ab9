use bytes::Bytes;
use keyfold_net::HttpClient;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::gateway_api::{
    HOST_AUTHORITY, MAX_RECORD, RecordGet, RecordPut, RecordSettle, RecordVersion, RecordVersions,
    host_path,
};
use keyfold_protocol::ids::{Digest32, RecordId};
use keyfold_protocol::realm::SignedRealmRecord;
use sha2::{Digest as _, Sha256};

use crate::support::*;

const RECORD: RecordId = RecordId::from_bytes([3; 32]);

fn version(number: u64, sealed: &[u8]) -> RecordVersion {
    RecordVersion {
        version: number,
        hash: Digest32::from_bytes(Sha256::digest(sealed).into()),
        sealed: sealed.to_vec(),
    }
}

async fn put(client: &HttpClient, number: u64, sealed: &[u8]) -> http::Response<Bytes> {
    let put = RecordPut {
        record: RECORD,
        version: version(number, sealed),
    };
    records(client, "POST", host_path::RECORD_PUT, Some(&put)).await
}

async fn settle(client: &HttpClient, number: u64, sealed: &[u8]) -> http::Response<Bytes> {
    let settle = RecordSettle {
        record: RECORD,
        version: number,
        hash: version(number, sealed).hash,
    };
    records(client, "POST", host_path::RECORD_SETTLE, Some(&settle)).await
}

async fn stored(client: &HttpClient) -> Vec<RecordVersion> {
    let get = RecordGet { record: RECORD };
    let answer = records(client, "POST", host_path::RECORD_GET, Some(&get)).await;
    assert_eq!(answer.status(), 200);
    let found: RecordVersions = serde_json::from_slice(answer.body()).unwrap();
    let mut versions = found.versions;
    versions.sort_by_key(|v| v.version);
    versions
}

#[tokio::test]
async fn a_record_goes_through_the_pipe_and_outlives_the_gateway() {
    let setup = Setup::new(2);
    let gateway = setup.start().await;
    let client = setup.records(0);
    assert!(stored(&client).await.is_empty());
    let largest = vec![0x5a; MAX_RECORD];
    for _ in 0..2 {
        let answer = put(&client, 1, &largest).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.body()[..]),
            (200, &b"{}"[..])
        );
    }
    assert_eq!(settle(&client, 1, &largest).await.status(), 200);
    assert_eq!(put(&client, 2, b"two").await.status(), 200);
    let expected = [version(1, &largest), version(2, b"two")];
    // Another enclave of the same host sees the same.
    assert_eq!(stored(&setup.records(1)).await, expected);
    gateway.stop().await;

    let gateway = setup.start().await;
    assert_eq!(stored(&setup.records(0)).await, expected);
    assert_eq!(settle(&setup.records(0), 2, b"two").await.status(), 200);
    gateway.kill().await;

    let gateway = setup.start().await;
    assert_eq!(stored(&setup.records(0)).await, [version(2, b"two")]);
    gateway.stop().await;
}

#[tokio::test]
async fn what_a_record_must_not_be_is_refused_with_its_code() {
    let setup = Setup::new(1);
    let gateway = setup.start().await;
    let client = setup.records(0);
    assert_eq!(put(&client, 1, b"one").await.status(), 200);
    assert_eq!(settle(&client, 1, b"one").await.status(), 200);

    let mut forged = version(2, b"two");
    forged.sealed = b"twp".to_vec();
    let forged = RecordPut {
        record: RECORD,
        version: forged,
    };
    let answer = records(&client, "POST", host_path::RECORD_PUT, Some(&forged)).await;
    assert_eq!(code(&answer), Code::MalformedRequest);
    assert_eq!(code(&put(&client, 1, b"rival").await), Code::RecordConflict);
    assert_eq!(
        code(&settle(&client, 2, b"two").await),
        Code::RecordConflict
    );
    assert_eq!(code(&put(&client, 0, b"x").await), Code::MalformedRequest);
    assert_eq!(code(&put(&client, 2, b"").await), Code::MalformedRequest);
    let answer = put(&client, 2, &vec![0; MAX_RECORD + 1]).await;
    assert_eq!(code(&answer), Code::InvalidRequest);
    for i in 0..4u8 {
        assert_eq!(put(&client, 2, &[i]).await.status(), 200);
    }
    assert_eq!(code(&put(&client, 2, &[9]).await), Code::RecordConflict);
    let answer = records(&client, "POST", host_path::RECORD_GET, Some(&"no record")).await;
    assert_eq!(code(&answer), Code::InvalidRequest);
    let malformed = http::Request::post(format!("http://{HOST_AUTHORITY}/v1/host/records/put"))
        .header("content-type", "application/json")
        .body(Bytes::from_static(b"{\"record\":"))
        .unwrap();
    let answer = client.send(malformed).await.unwrap();
    assert_eq!(code(&answer), Code::MalformedJson);
    assert_eq!(stored(&client).await.len(), 5);
    gateway.stop().await;
}

#[tokio::test]
async fn a_realm_is_stored_once() {
    let setup = Setup::new(1);
    let gateway = setup.start().await;
    let client = setup.records(0);
    let put = async |client: &HttpClient, signed: &SignedRealmRecord| {
        records(client, "PUT", host_path::REALM, Some(signed)).await
    };
    let nothing = records::<()>(&client, "GET", host_path::REALM, None).await;
    assert_eq!(code(&nothing), Code::NotFound);
    assert_eq!(code(&gateway.get("/v1/realm").await), Code::RealmMissing);

    let mut unsigned = realm(1);
    unsigned.signatures.pop();
    assert_eq!(code(&put(&client, &unsigned).await), Code::RealmInvalid);
    let mut changed = realm(1);
    changed.record.holders[0].address = "evil.example:443".to_owned();
    assert_eq!(code(&put(&client, &changed).await), Code::RealmInvalid);

    let signed = realm(1);
    for _ in 0..2 {
        assert_eq!(put(&client, &signed).await.status(), 200);
        assert_eq!(code(&put(&client, &realm(2)).await), Code::RealmExists);
    }
    gateway.stop().await;

    let gateway = setup.start().await;
    let client = setup.records(0);
    assert_eq!(put(&client, &signed).await.status(), 200);
    assert_eq!(code(&put(&client, &realm(2)).await), Code::RealmExists);
    let public = gateway.get("/v1/realm").await;
    let private = records::<()>(&client, "GET", host_path::REALM, None).await;
    assert_eq!(public.body(), private.body());
    let served: SignedRealmRecord = serde_json::from_slice(public.body()).unwrap();
    let verified = served.verify(signed.record.id()).unwrap();
    assert_eq!(verified.record(), &signed.record);
    gateway.stop().await;
}
