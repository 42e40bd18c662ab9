//! The contracts and this crate agree: what one accepts the other accepts, with the same root, and
//! what one refuses the other refuses, for the same reason.
//!
//! Runs the committed artifacts of `contracts/` on an EVM in this process, on random signatures
//! and on what mutation makes of them. `AGREE_CASES` asks for more of them, `AGREE_SEED` for
//! others; both print what they were.
//!
//! Which errors say the same stands in one table for each contract (`errors.rs`, or the head of the
//! file). Where bytes have several defects, either side may name another: Rust reads all before it
//! verifies anything, the contracts read and verify in one go. [`verdict::Row::pass`] says which
//! differences that explains; every other fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs
)]

mod chain;
mod keys;
mod mocks;
mod mutate;
mod packed;
mod passkeys;
mod recovery;
mod rng;
mod sessions;
mod verdict;
mod walk;
mod wallet;

use std::time::Instant;

use rng::Rng;
use verdict::Tally;

/// Signatures in all, unless `AGREE_CASES` says otherwise; passkeys' and packed calls are on top.
const CASES: u64 = 120_000;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Runs a share of all cases, in as many threads as there are processors, each with a chain of its
/// own. `per_run` is how many cases one run has.
fn judge<T>(
    theme: &'static str,
    share_percent: u64,
    per_run: u64,
    world: impl Fn() -> T + Sync,
    run: impl Fn(&mut T, Rng, &mut Tally) + Sync,
) -> Tally {
    let seed = number("AGREE_SEED", 1);
    let runs = (number("AGREE_CASES", CASES) * share_percent).div_ceil(100 * per_run);
    let workers = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let started = Instant::now();
    let mut total = Tally::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|worker| {
                let (world, run) = (&world, &run);
                scope.spawn(move || {
                    let (mut world, mut tally) = (world(), Tally::default());
                    for index in (worker..runs).step_by(workers as usize) {
                        let known = tally.differences.len();
                        run(&mut world, Rng::of(seed, theme, index), &mut tally);
                        for difference in tally.differences.iter_mut().skip(known) {
                            *difference = format!("run {index}: {difference}");
                        }
                    }
                    tally
                })
            })
            .collect();
        for thread in threads {
            total.add(thread.join().unwrap());
        }
    });
    report(theme, seed, &total, started);
    total
}

fn report(theme: &str, seed: u64, tally: &Tally, started: Instant) {
    println!(
        "{theme}: {} cases (AGREE_SEED={seed}), {} accepted by both, {} refused by both for the same \
         reason, {} with several defects, {:?}",
        tally.cases(),
        tally.accepted,
        tally.refused.values().sum::<u64>(),
        tally.earlier.values().sum::<u64>(),
        started.elapsed(),
    );
    for (title, pairs) in [
        ("refused", &tally.refused),
        ("several defects", &tally.earlier),
    ] {
        for (pair, count) in pairs {
            println!("  {title}: {pair}: {count}");
        }
    }
    for (known, count) in &tally.known {
        println!("  known: {known}: {count}");
    }
    assert!(
        tally.differences.is_empty(),
        "{} differences:\n{}",
        tally.differences.len(),
        tally.differences.join("\n")
    );
    let percent = tally.accepted * 100 / tally.cases().max(1);
    assert!(
        percent >= 20,
        "only {percent} % were accepted: the test judges noise"
    );
}

#[test]
fn wallets_agree() {
    judge("wallets", 80, 5, wallet::Wallets::new, wallet::Wallets::run);
}

/// No configuration of ours is nested deeper than 32; both read 64 levels.
#[test]
fn wallets_agree_how_deep_a_tree_may_be() {
    for branches in [false, true] {
        let (mut wallets, mut tally) = (wallet::Wallets::new(), Tally::default());
        for levels in 0..=70 {
            wallets.nested(levels, branches, &mut tally);
        }
        report("nested", 0, &tally, Instant::now());
        assert_eq!(tally.accepted, 64);
        assert_eq!(tally.refused.get("DecodeTooDeep = TooDeep()"), Some(&7));
    }
}

#[test]
fn sessions_agree() {
    judge(
        "sessions",
        12,
        4,
        sessions::Sessions::new,
        sessions::Sessions::run,
    );
}

#[test]
fn recovery_trees_agree() {
    judge(
        "recovery",
        8,
        3,
        recovery::Recoveries::new,
        recovery::Recoveries::run,
    );
}

/// Fewer: without a precompile for its curve the EVM computes it.
#[test]
fn passkeys_agree() {
    judge(
        "passkeys",
        1,
        3,
        passkeys::Passkeys::new,
        passkeys::Passkeys::run,
    );
}

/// Not signatures, but what they are of.
#[test]
fn packed_calls_agree() {
    judge(
        "packed calls",
        10,
        5,
        packed::Packed::new,
        packed::Packed::run,
    );
}
