use keyfold_gateway_service::openapi;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::gateway_api::path;
use serde_json::Value;

use crate::support::*;

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

#[test]
fn the_committed_description_is_the_generated_one() {
    let generated = openapi::json();
    if std::env::var("UPDATE").as_deref() == Ok("1") {
        std::fs::write(COMMITTED, &generated).unwrap();
    }
    let committed = std::fs::read(COMMITTED).unwrap_or_default();
    assert!(
        generated == committed,
        "docs/openapi.json is not what the code says; regenerate it with\n  \
         UPDATE=1 cargo test -p keyfold-gateway-service --test gateway openapi"
    );
}

#[test]
fn every_path_is_described_and_every_code_it_names_exists() {
    let description: Value = serde_json::from_slice(&openapi::json()).unwrap();
    let version = description["openapi"].as_str().unwrap();
    assert!(version.starts_with("3.1."), "{version}");
    let paths = description["paths"].as_object().unwrap();
    let public = [
        path::REALM,
        path::INSTANCES,
        path::ATTESTATION,
        path::OHTTP,
        path::JWKS,
        path::DISCOVERY,
        path::TRANSACTIONS,
        path::TRANSACTION,
        path::WALLET,
        path::TREE,
    ];
    assert_eq!(paths.len(), public.len());
    let mut named = 0;
    for path in public {
        for operation in paths[path].as_object().unwrap().values() {
            assert!(!operation["operationId"].as_str().unwrap().is_empty());
            let problems = operation["responses"]["default"]["description"]
                .as_str()
                .unwrap();
            for code in problems.split('`').skip(1).step_by(2) {
                assert!(code.parse::<Code>().is_ok(), "{path}: {code}");
                named += 1;
            }
        }
    }
    assert!(named > 20);
    let schemas = description["components"]["schemas"].as_object().unwrap();
    let codes = schemas["Code"]["enum"].as_array().unwrap();
    assert_eq!(codes.len(), Code::ALL.len());
}

#[tokio::test]
async fn a_gateway_serves_its_description() {
    let gateway = Setup::new(0).start().await;
    let answer = gateway.get(openapi::PATH).await;
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.body(), &openapi::json());
    gateway.stop().await;
}
