use alloy_primitives::{Address, B256};
use keyfold_net::HttpClient;
use keyfold_protocol::config::{ConfigChange, ConfigState, StoredTree};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::gateway_api::{host_path, path};
use keyfold_wallet::config::Members;
use keyfold_wallet::passkey::PasskeyPublicKey;

use crate::support::*;

fn state() -> ConfigState {
    let first = ConfigState {
        context: keyfold_wallet::ContextName::Keyfold,
        members: Members::new(Address::repeat_byte(1), None),
        checkpoint: 0,
        checkpointer: None,
    };
    let passkey = PasskeyPublicKey {
        x: B256::repeat_byte(2),
        y: B256::repeat_byte(3),
        require_user_verification: true,
        metadata: None,
    };
    first.after(&ConfigChange::AddPasskey { passkey }).unwrap()
}

async fn put(client: &HttpClient, tree: &impl serde::Serialize) -> http::Response<bytes::Bytes> {
    records(client, "PUT", host_path::TREE, Some(tree)).await
}

fn url(root: &B256) -> String {
    path::TREE.replace("{root}", &root.to_string())
}

#[tokio::test]
async fn a_tree_is_found_by_its_root_without_an_account_and_outlives_the_gateway() {
    let setup = Setup::new(1);
    let gateway = setup.start().await;
    let client = setup.records(0);
    let trees = StoredTree::all_of(&state()).unwrap();
    assert_eq!(trees.len(), 2);
    for tree in &trees {
        let root = tree.root().unwrap();
        assert_eq!(code(&gateway.get(&url(&root)).await), Code::NotFound);
        for _ in 0..2 {
            assert_eq!(put(&client, tree).await.status(), 200);
        }
    }
    gateway.stop().await;

    let gateway = setup.start().await;
    for tree in &trees {
        let answer = gateway.get(&url(&tree.root().unwrap())).await;
        assert_eq!(answer.status(), 200);
        let cached = answer.headers()["cache-control"].to_str().unwrap();
        assert!(cached.contains("immutable"), "{cached}");
        let read: StoredTree = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(&read, tree);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn nobody_outside_can_write_a_tree_and_no_tree_stands_under_another_root() {
    let setup = Setup::new(1);
    let gateway = setup.start().await;
    let tree = &StoredTree::all_of(&state()).unwrap()[0];
    let root = tree.root().unwrap();
    let json = serde_json::to_vec(tree).unwrap();
    for outside in [host_path::TREE.to_owned(), url(&root)] {
        let answer = gateway
            .post(&outside, "application/json", json.clone())
            .await;
        assert_ne!(answer.status(), 200, "{outside}");
    }
    assert_eq!(code(&gateway.get(&url(&root)).await), Code::NotFound);

    let client = setup.records(0);
    let written = serde_json::to_value(tree).unwrap();
    // A tree whose root is given, and not that of what follows.
    let mut named = written.clone();
    named["root"] = B256::repeat_byte(9).to_string().into();
    assert_eq!(code(&put(&client, &named).await), Code::InvalidRequest);
    // Parts that are hidden behind a hash: nobody could say who may sign.
    let mut hidden = written.clone();
    hidden["config"]["topology"] = root.to_string().into();
    assert_eq!(code(&put(&client, &hidden).await), Code::MalformedRequest);
    let mut open = written;
    open["config"]["threshold"] = "0".into();
    assert_eq!(code(&put(&client, &open).await), Code::MalformedRequest);
    for bad in ["0x12", "no-root", &root.to_string().to_uppercase()] {
        let answer = gateway.get(&path::TREE.replace("{root}", bad)).await;
        assert_eq!(code(&answer), Code::MalformedRequest, "{bad}");
    }
    gateway.stop().await;
}
