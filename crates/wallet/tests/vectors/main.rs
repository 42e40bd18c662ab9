//! Makes `vectors/` at the root of the repository, which the tests in Rust, TypeScript
//! (`conformance/`) and Solidity (`contracts/test/SharedVectors.t.sol`) read alike.
//!
//! Fails where a file is not what is encoded now. To write the files anew:
//! `UPDATE=1 cargo test -p keyfold-wallet --test vectors`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs
)]

mod address;
mod config;
mod passkey;
mod payload;
mod recovery;
mod session;
mod signature;

use alloy_primitives::{Address, B256, Bytes, hex};
use serde_json::{Value, json};

/// Good values, and values with one defect each, named for it.
struct Vectors {
    about: &'static str,
    valid: Vec<Value>,
    invalid: Vec<Value>,
}

impl Vectors {
    fn new(about: &'static str) -> Self {
        Self {
            about,
            valid: Vec::new(),
            invalid: Vec::new(),
        }
    }

    fn valid(&mut self, name: &str, fields: Value) {
        self.valid.push(named(name, fields));
    }

    /// Adds what must be refused; `error` is what Rust says.
    #[track_caller]
    fn invalid<T: core::fmt::Debug, E: core::fmt::Display>(
        &mut self,
        name: &str,
        fields: Value,
        outcome: Result<T, E>,
    ) {
        let error = match outcome {
            Ok(accepted) => panic!("{name} is accepted: {accepted:?}"),
            Err(error) => error.to_string(),
        };
        let mut vector = named(name, fields);
        vector["error"] = error.into();
        self.invalid.push(vector);
    }

    /// Compares with the file, or writes it.
    #[track_caller]
    fn check(self, file: &str) {
        let path = format!("{}/../../vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
        let all = json!({ "about": self.about, "valid": self.valid, "invalid": self.invalid });
        let text = serde_json::to_string_pretty(&all).unwrap() + "\n";
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == text,
            "{path} is not what is encoded; if the change is meant, run with UPDATE=1"
        );
    }
}

fn named(name: &str, mut fields: Value) -> Value {
    fields["name"] = name.into();
    fields
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    hex::encode_prefixed(bytes)
}

fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}

const A: Address = Address::repeat_byte(0x11);
const B: Address = Address::repeat_byte(0x22);
const C: Address = Address::repeat_byte(0x33);
/// The wallet that everything is for.
const WALLET: Address = Address::repeat_byte(0x77);
const NODE: B256 = B256::repeat_byte(0xee);

fn some_bytes(count: usize) -> Bytes {
    (0..count)
        .map(|index| index as u8)
        .collect::<Vec<_>>()
        .into()
}
