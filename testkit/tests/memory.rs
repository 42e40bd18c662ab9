//! The memory of every process after a thousand signatures, read as root reads it.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

#[allow(unused_macros, reason = "these are no cases")]
mod common;

use common::keys::secrets;
use common::search::{Haystack, Needle};
use common::storage::ring;
use common::{Part, Person};
use keyfold_testkit::system::System;

const PARTS: [Part; 7] = [
    Part::Enclave,
    Part::Holder(0),
    Part::Holder(1),
    Part::Holder(2),
    Part::Gateway,
    Part::Guard,
    Part::Relayer,
];
/// The mail library copies a message before it sends it and does not wipe the copy. It stays until
/// something else needs the place (SECURITY.md, "Memory").
const MAILED: &str = "a code as bytes in enclave";
const PEOPLE: usize = 10;
/// A thousand together; a holder lets a key be used 120 times an hour.
const SIGNATURES_EACH: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_thousand_signatures_no_key_or_share_is_left_in_memory_nor_a_code_outside_the_enclave()
 {
    let system = common::start(|_| {}).await;
    every_process_is_confined(&system);

    let mut people = Vec::new();
    for number in 0..PEOPLE {
        let email = format!("person-{number}@mail.example");
        let person = Person::sign_in(&system, system.project(), &email).await;
        let wallet = person.wallet("a wallet").await;
        people.push((person, wallet));
    }
    let signing = people.iter().map(|(person, wallet)| async move {
        for number in 0..SIGNATURES_EACH {
            let text = format!("message {number} of {}", person.email);
            person.must_sign(wallet, &text).await;
        }
    });
    let begun = std::time::Instant::now();
    futures_util::future::join_all(signing).await;
    let made = PEOPLE * SIGNATURES_EACH;
    eprintln!("{made} signatures in {} s", begun.elapsed().as_secs());

    let mut needles = Vec::new();
    for (person, wallet) in &people {
        needles.extend(secrets(&system, person, wallet).await);
        let secret = person.key.to_secret_bytes().expose(<[u8]>::to_vec);
        let secret = &secret[secret.len() - 32..];
        needles.push(Needle::new("a device's private key", secret));
    }
    for mail in system.mailbox().all().unwrap() {
        if let Some(code) = mail.code() {
            needles.push(Needle::new("a code", code.as_bytes()));
        }
    }
    let masters: Vec<Needle> = (0..3)
        .map(|number| {
            let master = ring(&system, number).current().to_secret();
            let name = format!("the master key of holder {}", number + 1);
            master.expose(|bytes| Needle::new(name, bytes))
        })
        .collect();

    let mut found = Vec::new();
    for part in PARTS {
        let process = system.process(part);
        let Some(memory) = Haystack::of_memory(process.name(), process.pid().unwrap()) else {
            eprintln!(
                "SKIPPED: only root may read the memory of a process that switched dumps off"
            );
            system.shutdown().await;
            return;
        };
        eprintln!("{}: {} bytes", process.name(), memory.bytes());
        assert!(memory.bytes() > 500_000, "that is too little to be all");
        found.extend(memory.find(&needles));
        // What must be there is found, so that finding nothing means something; and each master key
        // is in its own holder alone.
        let masters = memory.find(&masters);
        match part {
            Part::Holder(number) => {
                let own = format!("the master key of holder {} as bytes in", number + 1);
                assert!(
                    masters.len() == 1 && masters[0].starts_with(&own),
                    "{masters:?}"
                );
            }
            _ => assert!(masters.is_empty(), "{masters:?}"),
        }
        if part == Part::Enclave {
            let realm = Needle::new("the realm", system.pin().realm.as_bytes());
            assert!(!memory.find(&[realm]).is_empty(), "the search is blind");
        }
    }
    found.retain(|what| what != MAILED);
    system.shutdown().await;
    assert!(found.is_empty(), "found:\n{}", found.join("\n"));
}

/// What the kernel says of every thread, and what the process said when it began.
fn every_process_is_confined(system: &System) {
    for part in PARTS {
        let process = system.process(part);
        let name = process.name();
        let log = std::fs::read_to_string(process.log()).unwrap();
        let line = log.lines().find(|line| line.contains("confined"));
        let line = line.unwrap_or_else(|| panic!("{name} says nothing of confinement: {log}"));
        if line.contains("in part") {
            eprintln!("SKIPPED IN PART: {name} on this kernel: {line}");
        }
        let seccomp = if line.contains(r#""missing":"#) && line.contains("seccomp): ") {
            "Seccomp:\t0"
        } else {
            "Seccomp:\t2"
        };
        let tasks = format!("/proc/{}/task", process.pid().unwrap());
        for task in std::fs::read_dir(tasks).unwrap() {
            let status = task.unwrap().path().join("status");
            // A thread of a pool may end at any moment.
            let Ok(status) = std::fs::read_to_string(status) else {
                continue;
            };
            for needed in ["NoNewPrivs:\t1", seccomp] {
                assert!(
                    status.lines().any(|line| line == needed),
                    "{name} has a thread without {needed}:\n{status}"
                );
            }
        }
    }
}
