//! Bad input at every edge: a stable code, nothing released, nothing leaked, and the next good
//! request works.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

#[macro_use]
mod common;
#[path = "requests/codes.rs"]
mod codes;
#[path = "requests/contents.rs"]
mod contents;
#[path = "requests/cookies.rs"]
mod cookies;
#[path = "requests/edges.rs"]
mod edges;
#[path = "requests/signed.rs"]
mod signed;

use std::sync::{Arc, Mutex};

use codes::{
    a_code_works_once_for_its_device_sign_in_and_project, addresses_that_are_none_are_refused,
    three_wrong_codes_end_a_sign_in_and_starting_again_gives_none_back,
};
use common::channel::Channel;
use common::search::{Haystack, Needle};
use common::storage::all_uses;
use common::{Cases, Person};
use contents::{
    an_intent_that_does_not_say_what_the_body_asks_is_refused,
    malformed_requests_inside_the_channel_are_refused, what_is_to_be_signed_must_be_acceptable,
};
use cookies::{
    a_page_of_another_origin_gets_nothing_with_a_browsers_cookie,
    a_session_in_a_cookie_signs_and_ends_as_any_other,
    cookies_cut_foreign_swapped_or_doubled_open_nothing,
};
use edges::{
    a_document_that_answers_another_nonce_or_is_altered_registers_nobody,
    bad_bodies_at_the_gateway_get_a_code, bad_bodies_at_the_guard_get_a_code,
    bad_bodies_at_the_holders_get_a_code, bad_bodies_at_the_relayer_get_a_code,
    bytes_that_are_not_sealed_are_refused,
};
use keyfold_client::Wallet;
use keyfold_protocol::ohttp::InnerRequest;
use keyfold_testkit::system::{ProjectOptions, System};
use signed::{
    a_recorded_request_sent_again_does_nothing, a_request_altered_after_signing_is_refused,
    a_request_sealed_to_an_enclave_that_is_gone_is_refused_by_the_next,
    a_request_signed_for_elsewhere_or_another_time_is_refused, a_signed_out_session_opens_nothing,
    an_attestation_of_another_device_or_forged_is_refused, the_same_nonce_in_parallel_passes_once,
};

const OTHER_APP: &str = "other.example";
/// Stands in every malformed body; no log may repeat it.
const CANARY: &str = "canary-of-a-malformed-body";
const TEN_MEGABYTES: usize = 10 * 1024 * 1024;

struct World {
    system: System,
    alice: Person,
    wallet: Wallet,
    second: Wallet,
    /// Somebody else, on another device.
    bob: Person,
    bobs: Wallet,
    /// What no log may hold.
    secrets: Mutex<Vec<(String, String)>>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_requests_get_their_code_and_nothing_else() {
    let system = common::start(|options| {
        options.log = "debug".to_owned();
        options.projects.push(ProjectOptions::new(OTHER_APP, None));
        options.tune_gateway = Some(Arc::new(|gateway| {
            gateway.browser_origins = vec![cookies::ORIGIN.parse().unwrap()];
        }));
    })
    .await;
    let alice = Person::sign_in(&system, system.project(), "alice@mail.example").await;
    let bob = Person::sign_in(&system, system.project(), "bob@mail.example").await;
    let wallet = alice.wallet("main").await;
    let second = alice.wallet("second").await;
    let bobs = bob.wallet("main").await;
    let world = World {
        system,
        alice,
        wallet,
        second,
        bob,
        bobs,
        secrets: Mutex::default(),
    };
    let mut cases = Cases::default();
    run_cases!(
        cases,
        &world,
        [
            a_request_altered_after_signing_is_refused,
            a_request_signed_for_elsewhere_or_another_time_is_refused,
            an_intent_that_does_not_say_what_the_body_asks_is_refused,
            an_attestation_of_another_device_or_forged_is_refused,
            a_signed_out_session_opens_nothing,
            a_session_in_a_cookie_signs_and_ends_as_any_other,
            cookies_cut_foreign_swapped_or_doubled_open_nothing,
            a_page_of_another_origin_gets_nothing_with_a_browsers_cookie,
            the_same_nonce_in_parallel_passes_once,
            a_recorded_request_sent_again_does_nothing,
            malformed_requests_inside_the_channel_are_refused,
            what_is_to_be_signed_must_be_acceptable,
            a_code_works_once_for_its_device_sign_in_and_project,
            three_wrong_codes_end_a_sign_in_and_starting_again_gives_none_back,
            addresses_that_are_none_are_refused,
            bytes_that_are_not_sealed_are_refused,
            bad_bodies_at_the_gateway_get_a_code,
            bad_bodies_at_the_holders_get_a_code,
            bad_bodies_at_the_guard_get_a_code,
            bad_bodies_at_the_relayer_get_a_code,
            a_document_that_answers_another_nonce_or_is_altered_registers_nobody,
            a_request_sealed_to_an_enclave_that_is_gone_is_refused_by_the_next,
            nothing_of_all_this_is_in_a_log,
        ]
    );
    cases.end(world.system).await;
}

/// Sends each request, expects its code, and sees that no holder did anything and that the next
/// good request works.
async fn all_refused(
    world: &World,
    channel: &Channel,
    requests: Vec<(String, InnerRequest, &str)>,
) {
    let before = all_uses(&world.system).await;
    let mut wrong = Vec::new();
    for (what, request, code) in requests {
        let reply = channel.send(&request).await;
        if reply.code != code || !(400..500).contains(&reply.status) {
            wrong.push(format!("{what}: expected {code}, got {}", reply.summary()));
        }
    }
    assert_eq!(
        all_uses(&world.system).await,
        before,
        "a holder did something"
    );
    world
        .alice
        .must_sign(&world.wallet, "the next good one")
        .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn nothing_of_all_this_is_in_a_log(world: &World) {
    let mut needles = vec![
        Needle::new("a malformed body", CANARY.as_bytes()),
        Needle::new("an address", world.alice.email.as_bytes()),
        Needle::new("an address", world.bob.email.as_bytes()),
    ];
    for person in [&world.alice, &world.bob] {
        let attestation = person.session.attestation().unwrap();
        let signature = attestation.rsplit('.').next().unwrap();
        needles.push(Needle::new("an attestation", signature.as_bytes()));
    }
    for (name, secret) in world.secrets.lock().unwrap().iter() {
        needles.push(Needle::new(name, secret.as_bytes()));
    }
    let logs = Haystack::of(&[world.system.files().logs()]);
    assert!(logs.bytes() > 10_000, "there are no logs");
    let mut found = logs.find(&needles);
    // The test's own mail server, whose log is the recipient's side.
    found.retain(|line| !line.ends_with("mail.log"));
    assert!(found.is_empty(), "{}", found.join("\n"));
    let refused = Haystack::of(&[world.system.files().logs()]);
    assert!(
        !refused
            .find(&[Needle::new("a word", b"listening")])
            .is_empty()
    );
}
