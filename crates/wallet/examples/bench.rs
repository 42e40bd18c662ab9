//! The Rust side of `make bench-wallet` (`bench/wallet.mjs`): reads the inputs that the npm package
//! was measured with from standard input, checks that the same bytes come out, and prints how long
//! each takes, in nanoseconds, as one line of JSON.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use alloy_primitives::{Address, Bytes, hex, keccak256};
use keyfold_wallet::config::Config;
use keyfold_wallet::payload::pack;
use keyfold_wallet::session::SessionTopology;
use keyfold_wallet::signature::{Decoded, Header, Parts, SignaturePart, decode, encode_unjudged};
use keyfold_wallet::{EcdsaSignature, Encoding, Payload};
use serde::Deserialize;

/// One kind of work on one input, and what must come out.
#[derive(Deserialize)]
struct Case {
    name: String,
    #[serde(flatten)]
    work: Work,
    expected: Bytes,
}

#[derive(Deserialize)]
#[serde(tag = "work", rename_all = "snake_case")]
enum Work {
    /// What the hashes below are made of.
    Keccak {
        data: Bytes,
    },
    ImageHash {
        config: Config,
    },
    EncodeSignature {
        config: Config,
        signatures: BTreeMap<Address, String>,
    },
    DecodeSignature {
        signature: Bytes,
    },
    SessionRoot {
        topology: SessionTopology,
    },
    EncodeSessions {
        topology: SessionTopology,
    },
    Pack {
        payload: Payload,
    },
}

/// Measures a function: the fastest of many batches that take a few milliseconds each.
fn measure<T>(work: impl Fn() -> T) -> f64 {
    let mut per_batch = 1u32;
    let batch = |count: u32| {
        let began = Instant::now();
        for _ in 0..count {
            black_box(work());
        }
        began.elapsed()
    };
    while batch(per_batch) < Duration::from_millis(5) {
        per_batch *= 2;
    }
    let fastest = (0..41).map(|_| batch(per_batch)).min().unwrap_or_default();
    fastest.as_nanos() as f64 / f64::from(per_batch)
}

/// How many leaves a decoded signature shows; the package's side counts the same.
fn leaves(decoded: &Decoded) -> usize {
    use keyfold_wallet::signature::Item;
    fn count(items: &[Item]) -> usize {
        let of = |item: &Item| match item {
            Item::Branch(items) | Item::Nested { items, .. } => count(items),
            _ => 1,
        };
        items.iter().map(of).sum()
    }
    match decoded {
        Decoded::Single(chunk) => count(&chunk.items),
        _ => 0,
    }
}

fn run(case: &Case) -> (Vec<u8>, f64) {
    match &case.work {
        Work::Keccak { data } => (
            keccak256(data).to_vec(),
            measure(|| keccak256(black_box(data))),
        ),
        Work::ImageHash { config } => (
            config.image_hash().to_vec(),
            measure(|| black_box(config).image_hash()),
        ),
        Work::EncodeSignature { config, signatures } => {
            let part = |text: &String| {
                let signature = EcdsaSignature::from_colon_rsv(text).unwrap();
                SignaturePart::EcdsaHash(signature)
            };
            let parts: Parts = signatures
                .iter()
                .map(|(a, text)| (*a, part(text)))
                .collect();
            let header = Header {
                encoding: Encoding::Npm,
                ..Header::default()
            };
            let encode = || encode_unjudged(black_box(config), black_box(&parts), &header).unwrap();
            (encode().to_vec(), measure(encode))
        }
        Work::DecodeSignature { signature } => {
            let decode = || decode(black_box(signature)).unwrap();
            let count = u8::try_from(leaves(&decode())).unwrap();
            (vec![count], measure(decode))
        }
        Work::SessionRoot { topology } => {
            let root = || black_box(topology).hash().unwrap();
            (root().to_vec(), measure(root))
        }
        Work::EncodeSessions { topology } => {
            let encode = || black_box(topology).encode(Encoding::Npm).unwrap();
            (encode(), measure(encode))
        }
        Work::Pack { payload } => {
            let pack = || pack(black_box(payload), None, Encoding::Npm).unwrap();
            (pack(), measure(pack))
        }
    }
}

fn main() {
    let cases: Vec<Case> = serde_json::from_reader(std::io::stdin().lock()).expect("cases as JSON");
    let mut results = serde_json::Map::new();
    for case in &cases {
        let (bytes, nanoseconds) = run(case);
        assert!(
            bytes == case.expected,
            "{}: {} is not {}",
            case.name,
            hex::encode(bytes),
            case.expected
        );
        results.insert(case.name.clone(), nanoseconds.into());
    }
    println!("{}", serde_json::Value::Object(results));
}
