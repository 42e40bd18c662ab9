//! Many passwords at once: memory stays within what all hashes may have together, and nobody waits
//! for ever.

#![allow(clippy::disallowed_methods, reason = "it looks at its own process")]

use std::sync::Arc;

use futures_util::future::join_all;
use keyfold_protocol::client_api::SignedIn;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::project::PasswordSettings;

use crate::app::{ANNA, APP, App, BORIS, assert_refused};
use crate::methods::{by_password, set_password, settings};

const PASSWORD: &str = "correct horse battery";
/// What one hash takes, and what all of them may take at once.
const ONE_MIB: u64 = 64;
const ALL_MIB: u64 = 256;

/// The most memory that this process ever had, MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib: u64 = peak
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib / 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 12)]
async fn many_passwords_at_once_take_no_more_memory_than_all_may_have() {
    let app = App::with(|body| {
        body.sign_in = settings();
        body.sign_in.password = Some(PasswordSettings {
            memory_kib: u32::try_from(ONE_MIB * 1024).unwrap(),
            passes: 2,
            lanes: 1,
        });
    })
    .await;
    for index in 1..=3 {
        app.world.holder(index, |h| h.attempt_limit = u32::MAX);
    }
    let owner = app.device(APP);
    let _: SignedIn = set_password(&owner, ANNA, PASSWORD).await.ok();
    let before = peak_mib();
    let app = Arc::new(app);
    let all = (0..48).map(|number| {
        let app = Arc::clone(&app);
        // Known addresses and unknown ones take the same.
        let email = [ANNA, BORIS][number % 2];
        tokio::spawn(async move { by_password(&app.device(APP), email, "a wrong password").await })
    });
    for reply in join_all(all).await {
        let code = reply.unwrap().code();
        let expected = [Some(Code::SignInRefused), Some(Code::RateLimited)];
        assert!(expected.contains(&code), "{code:?}");
    }
    let grown = peak_mib() - before;
    // The first hash was before; the rest is for everything else that happens.
    assert!(grown < ALL_MIB + ONE_MIB / 2, "{grown} MiB");
    // What was lent was given back.
    let _: SignedIn = by_password(&owner, ANNA, PASSWORD).await.ok();
}

#[tokio::test]
async fn a_password_of_a_megabyte_or_of_control_characters_is_refused() {
    let app = crate::methods::app().await;
    let device = app.device(APP);
    let _: SignedIn = set_password(&device, ANNA, PASSWORD).await.ok();
    for wrong in [
        format!("{PASSWORD}\0"),
        format!("\0{PASSWORD}"),
        format!("{PASSWORD}\u{7f}"),
        "x".repeat(129),
        "x".repeat(10_000),
    ] {
        let reply = by_password(&device, ANNA, &wrong).await;
        assert_refused(&reply, Code::SignInRefused);
    }
    let megabyte = "x".repeat((1 << 20) - 4096);
    let reply = by_password(&device, ANNA, &megabyte).await;
    assert_refused(&reply, Code::BodyTooLarge);
    let _: SignedIn = by_password(&device, ANNA, PASSWORD).await.ok();
}
