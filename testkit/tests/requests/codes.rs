//! Codes by mail: whose they are, how often they are tried, where they go.

use common::channel::{Channel, request_id};
use common::edges::Reply;
use futures_util::future::join_all;
use keyfold_crypto::jwk::DeviceSigningKey;
use keyfold_protocol::client_api::path;
use keyfold_protocol::intent::{Intent, Operation};
use keyfold_testkit::system::new_key;
use serde_json::{Value, json};

use super::{OTHER_APP, World, common};

/// A sign-in that waits for its code.
struct Waiting {
    key: std::sync::Arc<DeviceSigningKey>,
    handle: Value,
    code: String,
}

async fn begin(world: &World, channel: &Channel, project: &str, email: &str) -> Waiting {
    let key = new_key();
    let seen = world.system.mailbox().codes(email).unwrap().len();
    let reply = start(channel, &key, project, email).await;
    assert_eq!(reply.status, 200, "{}", reply.summary());
    let mail = world.system.mailbox().wait(email, seen).await.unwrap();
    let code = mail.code().unwrap().to_owned();
    let mut secrets = world.secrets.lock().unwrap();
    secrets.push(("a code".to_owned(), code.clone()));
    secrets.push(("an address".to_owned(), email.to_owned()));
    Waiting {
        key,
        handle: reply.json()["sign_in"].clone(),
        code,
    }
}

async fn start(channel: &Channel, key: &DeviceSigningKey, project: &str, email: &str) -> Reply {
    let intent = Intent::Plain {
        operation: Operation::SignInStart,
        id: request_id(),
    };
    let body =
        json!({ "how": { "method": "email-code", "email": email }, "device": key.public_jwk() });
    let draft = channel.before_session(project, path::SIGN_IN_START, &intent, &body);
    channel.send(&draft.signed(key)).await
}

async fn finish(
    channel: &Channel,
    key: &DeviceSigningKey,
    project: &str,
    handle: &Value,
    code: &str,
) -> Reply {
    let intent = Intent::Plain {
        operation: Operation::SignInFinish,
        id: request_id(),
    };
    let body = json!({ "sign_in": handle, "proof": { "method": "email-code", "code": code }, "device": key.public_jwk() });
    let draft = channel.before_session(project, path::SIGN_IN_FINISH, &intent, &body);
    channel.send(&draft.signed(key)).await
}

fn wrong(code: &str) -> String {
    let number: u64 = code.parse().unwrap();
    format!("{:08}", (number + 1) % 100_000_000)
}

fn full_width(code: &str) -> String {
    code.chars()
        .map(|c| char::from_u32(u32::from(c) - u32::from('0') + 0xff10).unwrap())
        .collect()
}

pub(super) async fn a_code_works_once_for_its_device_sign_in_and_project(world: &World) {
    let channel = Channel::open(&world.system).await;
    let app = world.system.project().id.as_str();
    let one = begin(world, &channel, app, "one@mail.example").await;
    let two = begin(world, &channel, app, "two@mail.example").await;
    let refused = |what: &'static str, reply: Reply| {
        assert_eq!(reply.code, "sign_in_refused", "{what}: {}", reply.summary());
    };
    // None of these costs the owner an attempt.
    let thief = new_key();
    for _ in 0..4 {
        let reply = finish(&channel, &thief, app, &one.handle, &one.code).await;
        refused("another device, with the right code", reply);
        let reply = finish(&channel, &one.key, OTHER_APP, &one.handle, &one.code).await;
        refused("another app", reply);
        let nobody = json!("0".repeat(32));
        let reply = finish(&channel, &one.key, app, &nobody, &one.code).await;
        refused("a sign-in that is none", reply);
    }
    // The body names the owner's device, the thief signs.
    let intent = Intent::Plain {
        operation: Operation::SignInFinish,
        id: request_id(),
    };
    let body = json!({ "sign_in": one.handle, "proof": { "method": "email-code", "code": one.code }, "device": one.key.public_jwk() });
    let draft = channel.before_session(app, path::SIGN_IN_FINISH, &intent, &body);
    let reply = channel.send(&draft.signed(&thief)).await;
    assert_eq!(reply.code, "signature_invalid", "{}", reply.summary());
    // These are not codes at all, or another's.
    let reply = finish(&channel, &one.key, app, &one.handle, &full_width(&one.code)).await;
    refused("full-width digits", reply);
    if one.code != two.code {
        let reply = finish(&channel, &one.key, app, &one.handle, &two.code).await;
        refused("the code of another sign-in", reply);
    }
    let reply = finish(&channel, &one.key, app, &one.handle, &one.code).await;
    assert_eq!(reply.status, 200, "the owner's own: {}", reply.summary());
    let reply = finish(&channel, &one.key, app, &one.handle, &one.code).await;
    refused("the same code again", reply);
    for (what, code) in [
        ("zeros in front", format!("0{}", two.code)),
        ("seven digits", two.code[1..].to_owned()),
    ] {
        let reply = finish(&channel, &two.key, app, &two.handle, &code).await;
        refused(what, reply);
    }
}

pub(super) async fn three_wrong_codes_end_a_sign_in_and_starting_again_gives_none_back(
    world: &World,
) {
    let channel = Channel::open(&world.system).await;
    let app = world.system.project().id.as_str();
    let email = "guessed@mail.example";
    let waiting = begin(world, &channel, app, email).await;
    // In parallel: attempts are reserved before they are compared.
    let guesses = (0..6).map(|_| wrong(&waiting.code));
    let guesses: Vec<_> = guesses.collect();
    let tries = guesses
        .iter()
        .map(|code| finish(&channel, &waiting.key, app, &waiting.handle, code));
    for reply in join_all(tries).await {
        assert_eq!(reply.code, "sign_in_refused", "{}", reply.summary());
    }
    let reply = finish(&channel, &waiting.key, app, &waiting.handle, &waiting.code).await;
    assert_eq!(
        reply.code,
        "sign_in_refused",
        "a fourth guess: {}",
        reply.summary()
    );
    let reply = start(&channel, &waiting.key, app, email).await;
    assert_eq!(
        reply.code,
        "mail_limit",
        "attempts came back: {}",
        reply.summary()
    );
    // Another device of the same person is not locked out.
    let other = begin(world, &channel, app, email).await;
    let reply = finish(&channel, &other.key, app, &other.handle, &other.code).await;
    assert_eq!(reply.status, 200, "{}", reply.summary());
}

pub(super) async fn addresses_that_are_none_are_refused(world: &World) {
    let channel = Channel::open(&world.system).await;
    let app = world.system.project().id.as_str();
    // Notices of sign-ins before may still arrive.
    let codes = || world.system.mailbox().codes("").unwrap().len();
    let before = codes();
    let long = format!("{}@mail.example", "a".repeat(300));
    for email in [
        "",
        "nobody",
        "@mail.example",
        "a@",
        "a@b@mail.example",
        "victim@mail.example\r\nBcc: thief@mail.example",
        "victim@mail.example\nSubject: hello",
        "\"a b\"@mail.example",
        "<a@mail.example>",
        "a@mail.example,b@mail.example",
        "vict\u{456}m@mail.example",
        "a@[127.0.0.1]",
        &long,
    ] {
        let reply = start(&channel, &new_key(), app, email).await;
        assert_eq!(
            reply.code,
            "email_invalid",
            "{email:?}: {}",
            reply.summary()
        );
    }
    let reply = start(&channel, &new_key(), "nowhere.example", "a@mail.example").await;
    assert_eq!(reply.code, "project_unknown", "{}", reply.summary());
    assert_eq!(codes(), before, "a mail was sent");
}
