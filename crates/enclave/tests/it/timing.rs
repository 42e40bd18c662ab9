//! How long an answer takes tells nobody whether an address is known.
//!
//! No times are compared with a clock's, only with each other: the cases take turns in one run, and
//! the two-sample Kolmogorov-Smirnov statistic says how far their distributions are apart.

#![allow(clippy::disallowed_methods, reason = "it measures")]

use std::time::{Duration, Instant};

use keyfold_protocol::client_api::SignedIn;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::sign_in::{Method, Proof, SignInStarted};

use crate::app::{ANNA, APP, App, BORIS, assert_refused};
use crate::device::{Device, by_code};
use crate::methods::{app, set_password};

/// Rounds that count, and those before them that warm caches up.
const ROUNDS: usize = 42;
const WARM_UP: usize = 3;
/// How far apart distributions may be. Samples of one distribution are further apart than this in
/// less than one run of a million; a computation that is left out makes it 1.
const APART: f64 = 0.6;

/// The largest distance between two empirical distributions.
fn distance(one: &[Duration], two: &[Duration]) -> f64 {
    let below = |sample: &[Duration], at: Duration| {
        let count = sample.iter().filter(|time| **time <= at).count();
        count as f64 / sample.len() as f64
    };
    let all = one.iter().chain(two);
    all.map(|at| (below(one, *at) - below(two, *at)).abs())
        .fold(0.0, f64::max)
}

#[test]
fn the_statistic_tells_a_shift_from_noise() {
    let sample = |from: u64| (0..100).map(move |i| Duration::from_micros(from + i * 7 % 100));
    let of = |from| sample(from).collect::<Vec<_>>();
    assert!(distance(&of(0), &of(0)) < 1e-9);
    assert!((distance(&of(0), &of(50)) - 0.5).abs() < 0.02);
    assert!((distance(&of(0), &of(100)) - 1.0).abs() < 1e-9);
}

/// Times the same question about several addresses, which take turns.
async fn assert_alike<F: AsyncFn(&str, usize) -> Duration>(addresses: &[&str], ask: F) {
    let mut times = vec![Vec::new(); addresses.len()];
    for round in 0..WARM_UP + ROUNDS {
        for turn in 0..addresses.len() {
            // Whoever is first in a round is not always the same.
            let at = (turn + round) % addresses.len();
            let took = ask(addresses[at], round).await;
            if round >= WARM_UP {
                times[at].push(took);
            }
        }
    }
    for (address, of_it) in addresses.iter().zip(&times).skip(1) {
        let apart = distance(&times[0], of_it);
        assert!(apart < APART, "{} and {address}: {apart}", addresses[0]);
    }
}

/// Anna has an account with a password, Boris one without; nobody knows Clara.
async fn people() -> (App, [&'static str; 3]) {
    let app = app().await;
    for index in 1..=3 {
        app.world.holder(index, |h| {
            (h.mail_limit, h.attempt_limit) = (u32::MAX, u32::MAX);
        });
    }
    let _: SignedIn = set_password(&app.device(APP), ANNA, "correct horse battery")
        .await
        .ok();
    app.signed_in(APP, BORIS).await;
    (app, [ANNA, BORIS, "clara@mail.example"])
}

async fn timed(device: &Device, started: &SignInStarted, proof: Proof) -> Duration {
    let begun = Instant::now();
    let reply = device.finish_by(started, proof).await;
    let took = begun.elapsed();
    assert_refused(&reply, Code::SignInRefused);
    took
}

#[tokio::test]
async fn a_wrong_password_takes_as_long_whoever_has_one() {
    let (app, people) = people().await;
    assert_alike(&people, async |email, _| {
        let device = app.device(APP);
        let email = email.to_owned();
        let started: SignInStarted = device.start_by(Method::Password { email }).await.ok();
        let proof = Proof::Password {
            password: "a wrong password".to_owned().into(),
            new_password: None,
        };
        timed(&device, &started, proof).await
    })
    .await;
}

#[tokio::test]
async fn a_code_is_sent_and_refused_in_the_same_time_whoever_has_an_account() {
    let (app, people) = people().await;
    // Codes and resets begin alike: what the mail is for is said at the end.
    for new_password in [None, Some("another horse entirely")] {
        assert_alike(&people, async |email, round| {
            // Beyond what one address may have begun within an hour.
            if round % 4 == 0 && email == ANNA {
                app.world.pass(3_601);
            }
            let device = app.device(APP);
            let begun = Instant::now();
            let started: SignInStarted = device.start(email).await.ok();
            let took = begun.elapsed();
            let code: u32 = app.world.code().parse().unwrap();
            let wrong = format!("{:08}", (code + 1) % 100_000_000);
            let mut proof = by_code(&wrong);
            if let Proof::EmailCode {
                new_password: new, ..
            } = &mut proof
            {
                *new = new_password.map(|new| new.to_owned().into());
            }
            took + timed(&device, &started, proof).await
        })
        .await;
    }
}
