//! How often an address gets a code, and that nobody learns from it whose address is known.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

#[macro_use]
mod common;

use std::sync::Arc;

use common::channel::{Channel, request_id};
use common::edges::Reply;
use common::{Cases, Part, Person};
use keyfold_crypto::jwk::DeviceSigningKey;
use keyfold_protocol::client_api::path;
use keyfold_protocol::intent::{Intent, Operation};
use keyfold_testkit::system::{ProjectOptions, System, new_key};
use serde_json::{Value, json};

const OTHER_APP: &str = "other.example";
/// Codes of one app for one address, in this realm.
const CODES: u32 = 3;
/// Codes of all apps together for one address.
const IN_ALL: u32 = 5;

struct World {
    system: System,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_are_limited_and_tell_nothing() {
    let system = common::start(|options| {
        options.tune_holder = Some(Arc::new(|_, config| {
            config.mails_per_address_per_hour = CODES;
            config.mails_per_address_per_day = CODES;
            config.mails_per_address_total_per_day = Some(IN_ALL);
        }));
        options.projects.push(ProjectOptions::new(OTHER_APP, None));
    })
    .await;
    let world = World { system };
    let mut cases = Cases::default();
    run_cases!(
        cases,
        &world,
        [
            known_and_unknown_addresses_get_the_same_answers,
            no_spelling_device_app_or_restart_gets_around_the_limit,
            strangers_leave_an_owners_device_its_codes,
        ]
    );
    cases.end(world.system).await;
}

/// An answer as its receiver can compare it, and the size that the host can see.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    status: u16,
    code: String,
    shape: Vec<(String, usize)>,
    sealed: usize,
}

async fn send(
    channel: &Channel,
    key: &DeviceSigningKey,
    draft: common::channel::Draft,
) -> (Seen, Reply) {
    let (sealed, context) = channel.seal(&draft.signed(key));
    let outer = channel.post(&channel.instance.to_string(), sealed).await;
    let inner = context.open(&outer.body).unwrap();
    let content_type = inner.headers[0].1.clone();
    let reply = Reply::new(inner.status, content_type, inner.body);
    let fields = reply.json();
    let shape = fields.as_object().unwrap().iter();
    let seen = Seen {
        status: reply.status,
        code: reply.code.clone(),
        shape: shape
            .map(|(name, value)| (name.clone(), value.to_string().len()))
            .collect(),
        sealed: outer.body.len(),
    };
    (seen, reply)
}

async fn start(
    channel: &Channel,
    project: &str,
    email: &str,
    key: &DeviceSigningKey,
) -> (Seen, Reply) {
    start_as(channel, project, email, key, &Value::Null).await
}

/// The same, of a device that says which account is its own.
async fn start_as(
    channel: &Channel,
    project: &str,
    email: &str,
    key: &DeviceSigningKey,
    account: &Value,
) -> (Seen, Reply) {
    let intent = Intent::Plain {
        operation: Operation::SignInStart,
        id: request_id(),
    };
    let how = json!({ "method": "email-code", "email": email });
    let body = json!({ "how": how, "device": key.public_jwk(), "account": account });
    send(
        channel,
        key,
        channel.before_session(project, path::SIGN_IN_START, &intent, &body),
    )
    .await
}

async fn guess(channel: &Channel, project: &str, handle: &Value, key: &DeviceSigningKey) -> Seen {
    finish(channel, project, handle, key, "0000000a").await
}

async fn finish(
    channel: &Channel,
    project: &str,
    handle: &Value,
    key: &DeviceSigningKey,
    code: &str,
) -> Seen {
    finish_in(channel, project, handle, key, code).await.0
}

async fn finish_in(
    channel: &Channel,
    project: &str,
    handle: &Value,
    key: &DeviceSigningKey,
    code: &str,
) -> (Seen, Reply) {
    let intent = Intent::Plain {
        operation: Operation::SignInFinish,
        id: request_id(),
    };
    let body = json!({ "sign_in": handle, "proof": { "method": "email-code", "code": code }, "device": key.public_jwk() });
    send(
        channel,
        key,
        channel.before_session(project, path::SIGN_IN_FINISH, &intent, &body),
    )
    .await
}

async fn known_and_unknown_addresses_get_the_same_answers(world: &World) {
    let World { system } = world;
    let app = system.project().id.as_str();
    // The one has an account, a device and a wallet; the other was never seen.
    let known = "known@mail.example";
    let person = Person::sign_in(system, system.project(), known).await;
    person.wallet("main").await;
    let channel = Channel::open(system).await;
    let unknown = "never@mail.example";
    // As many mails as the other has had.
    let (first, _) = start(&channel, app, unknown, &new_key()).await;
    assert_eq!(first.status, 200);

    for round in 0..4 {
        let mut answers = Vec::new();
        for email in [known, unknown] {
            let key = new_key();
            let (started, reply) = start(&channel, app, email, &key).await;
            let handle = reply.json()["sign_in"].clone();
            let guessed = guess(&channel, app, &handle, &key).await;
            answers.push((started, guessed));
        }
        assert_eq!(
            answers[0], answers[1],
            "round {round} tells whether an address is known"
        );
        let expected = if round < 2 { "" } else { "mail_limit" };
        assert_eq!(answers[0].0.code, expected, "round {round}");
    }
    for email in [known, unknown] {
        let mails = system.mailbox().codes(email).unwrap();
        assert_eq!(mails.len(), 3, "{email} got other mails than counted");
        let (head, _) = mails[2].text.split_once("\n\n").unwrap();
        let code = mails[2].code().unwrap();
        assert!(
            !head.contains(code),
            "the code stands where it shows on a locked screen"
        );
    }
}

async fn no_spelling_device_app_or_restart_gets_around_the_limit(world: &World) {
    let World { system } = world;
    let app = system.project().id.as_str();
    let email = "flooded@mail.example";
    let channel = Channel::open(system).await;
    for _ in 0..CODES {
        let (seen, _) = start(&channel, app, email, &new_key()).await;
        assert_eq!(seen.status, 200, "{seen:?}");
    }
    let limited = async |channel: &Channel, project: &str, email: &str, what: &str| {
        let (seen, reply) = start(channel, project, email, &new_key()).await;
        assert_eq!(seen.code, "mail_limit", "{what}: {}", reply.summary());
    };
    limited(&channel, app, email, "a fourth time").await;
    limited(&channel, app, "FLOODED@mail.example", "in capitals").await;
    limited(
        &channel,
        app,
        "flooded@MAIL.Example",
        "a domain in capitals",
    )
    .await;
    limited(&channel, app, " flooded@mail.example ", "with spaces").await;
    // An app cannot keep another's users out, nor can many apps together fill a mailbox.
    for _ in CODES..IN_ALL {
        let (seen, _) = start(&channel, OTHER_APP, email, &new_key()).await;
        assert_eq!(seen.status, 200, "another app's first: {seen:?}");
    }
    limited(&channel, OTHER_APP, email, "all apps together").await;

    system.process(Part::Enclave).kill().await;
    system.start_again(Part::Enclave).await.unwrap();
    let next = Channel::open(system).await;
    limited(&next, app, email, "after the enclave was killed").await;
    for number in 0..3 {
        system.process(Part::Holder(number)).kill().await;
        system.start_again(Part::Holder(number)).await.unwrap();
    }
    limited(&next, app, email, "after all holders were killed").await;
    // One holder that is away, or counts nothing, changes nothing.
    system.process(Part::Holder(2)).stop().await;
    limited(&next, app, email, "with a holder away").await;
    system.start_again(Part::Holder(2)).await.unwrap();

    assert_eq!(
        u32::try_from(system.mailbox().codes("flooded@").unwrap().len()).unwrap(),
        IN_ALL,
        "more mails than counted"
    );
    // Somebody else is not kept from signing in.
    let (seen, _) = start(&next, app, "somebody-else@mail.example", &new_key()).await;
    assert_eq!(seen.status, 200, "{seen:?}");
}

async fn strangers_leave_an_owners_device_its_codes(world: &World) {
    let World { system } = world;
    let app = system.project().id.as_str();
    let email = "owner@mail.example";
    let channel = Channel::open(system).await;
    let key = new_key();
    let mails = |email: &str| system.mailbox().codes(email).unwrap();
    let sign_in = async |channel: &Channel, account: &Value| {
        let (started, reply) = start_as(channel, app, email, &key, account).await;
        assert_eq!(started.status, 200, "{}", reply.summary());
        let handle = reply.json()["sign_in"].clone();
        let code = mails(email).last().unwrap().code().unwrap().to_owned();
        let (seen, reply) = finish_in(channel, app, &handle, &key, &code).await;
        assert_eq!(seen.status, 200, "{seen:?}");
        reply.json()["account"].clone()
    };
    let account = sign_in(&channel, &Value::Null).await;
    let flood = async |channel: &Channel| {
        for project in [app, OTHER_APP] {
            for _ in 0..8 {
                start(channel, project, email, &new_key()).await;
            }
            let (seen, reply) = start(channel, project, email, &new_key()).await;
            assert_eq!(seen.code, "mail_limit", "{}", reply.summary());
        }
    };
    flood(&channel).await;
    sign_in(&channel, &account).await;
    // Nor at an instance that was killed, where the strangers were first.
    system.process(Part::Enclave).kill().await;
    system.start_again(Part::Enclave).await.unwrap();
    let next = Channel::open(system).await;
    flood(&next).await;
    sign_in(&next, &account).await;
    // Three in all, as anybody has, and no restart gives one back.
    sign_in(&next, &account).await;
    for number in 0..3 {
        system.process(Part::Holder(number)).kill().await;
        system.start_again(Part::Holder(number)).await.unwrap();
    }
    let (seen, reply) = start_as(&next, app, email, &key, &account).await;
    assert_eq!(seen.code, "mail_limit", "{}", reply.summary());
    // What strangers may have, and what the device may have.
    let most = usize::try_from(IN_ALL + CODES).unwrap();
    assert_eq!(mails(email).len(), most);
}
