//! Comparing what the contracts say with what Rust says, and counting.

use std::collections::BTreeMap;
use std::fmt::Debug;

use alloy_primitives::hex;

use crate::chain::{Answer, artifact, selector};

/// A Rust error, and the reverts that say the same.
pub(crate) struct Row {
    /// The variant, as [`name`] writes it.
    pub(crate) rust: &'static str,
    /// In which pass over the bytes Rust finds it. The contracts read and judge in one go; where
    /// there are several defects, an error of an earlier pass hides those of later ones.
    pub(crate) pass: u8,
    /// What the contract reverts with: custom errors, [`PANIC`], [`NOTHING`].
    pub(crate) solidity: &'static [&'static str],
}

/// Arithmetic that would wrap.
pub(crate) const PANIC: &str = "Panic(0x11)";
/// No data: asked an account without code, or got an answer that is none.
pub(crate) const NOTHING: &str = "(nothing)";

/// The name of an error: its variant, after those it stands in.
pub(crate) fn name(error: &impl Debug) -> String {
    let text = format!("{error:?}");
    let end = text
        .find(|c: char| !c.is_alphanumeric())
        .unwrap_or(text.len());
    text[..end].to_owned()
}

/// All errors that a table knows by their selectors.
pub(crate) struct Table {
    rows: &'static [Row],
    by_selector: BTreeMap<[u8; 4], &'static str>,
}

impl Table {
    /// # Panics
    /// If an error of the table is none of the contract's.
    pub(crate) fn new(rows: &'static [Row], contracts: &[&str]) -> Self {
        let mut known: Vec<String> = vec![crate::mocks::REFUSED.into()];
        for contract in contracts {
            let artifact = artifact(contract);
            let errors = artifact["abi"].as_array().unwrap().iter();
            known.extend(errors.filter(|item| item["type"] == "error").map(signature));
        }
        let mut by_selector = BTreeMap::new();
        for error in rows.iter().flat_map(|row| row.solidity).copied() {
            if error != PANIC && error != NOTHING {
                assert!(
                    known.iter().any(|one| one == error),
                    "no contract has the error {error}"
                );
                by_selector.insert(selector(error), error);
            }
        }
        Self { rows, by_selector }
    }

    fn name_of(&self, revert: &[u8]) -> Option<&'static str> {
        if revert.is_empty() {
            return Some(NOTHING);
        }
        let head: [u8; 4] = revert.get(..4)?.try_into().ok()?;
        // Panic(uint256)
        if head == hex!("4e487b71") {
            return (revert.last() == Some(&0x11)).then_some(PANIC);
        }
        self.by_selector.get(&head).copied()
    }

    /// Whether both refuse for the same reason.
    fn judge(&self, rust: &str, revert: &[u8]) -> Verdict {
        let Some(row) = self.rows.iter().find(|row| row.rust == rust) else {
            return Verdict::Differ(format!("{rust} is not in the table"));
        };
        let Some(solidity) = self.name_of(revert) else {
            return Verdict::Differ(format!("{rust}, but the contract: {}", hex::encode(revert)));
        };
        if row.solidity.contains(&solidity) {
            return Verdict::Same(format!("{rust} = {solidity}"));
        }
        let later = |other: &&Row| other.pass > row.pass && other.solidity.contains(&solidity);
        if self.rows.iter().any(|other| later(&other)) {
            return Verdict::Earlier(format!("{rust} before {solidity}"));
        }
        Verdict::Differ(format!("{rust}, but the contract: {solidity}"))
    }
}

/// An error's name with the types of its arguments.
fn signature(error: &serde_json::Value) -> String {
    fn kind(input: &serde_json::Value) -> String {
        let text = input["type"].as_str().unwrap();
        match text.strip_prefix("tuple") {
            None => text.to_owned(),
            Some(array) => format!("({}){array}", kinds(&input["components"])),
        }
    }
    fn kinds(inputs: &serde_json::Value) -> String {
        let inputs = inputs.as_array().unwrap().iter();
        inputs.map(kind).collect::<Vec<_>>().join(",")
    }
    format!(
        "{}({})",
        error["name"].as_str().unwrap(),
        kinds(&error["inputs"])
    )
}

enum Verdict {
    /// The same reason.
    Same(String),
    /// Several defects: Rust names one that it sees in an earlier pass.
    Earlier(String),
    Differ(String),
}

/// What came of all cases of a theme.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) accepted: u64,
    pub(crate) refused: BTreeMap<String, u64>,
    pub(crate) earlier: BTreeMap<String, u64>,
    /// Differences that are known and listed.
    pub(crate) known: BTreeMap<&'static str, u64>,
    pub(crate) differences: Vec<String>,
}

impl Tally {
    /// Compares. `same` compares what Rust found with what the contract returned.
    pub(crate) fn compare<T: Debug>(
        &mut self,
        table: &Table,
        (contract, rust): (&Answer, &Result<T, String>),
        same: impl FnOnce(&T, &Answer) -> bool,
        describe: impl FnOnce() -> String,
    ) {
        let difference = match (contract, rust) {
            (Answer::Returned(..), Ok(found)) if same(found, contract) => {
                self.accepted += 1;
                return;
            }
            (Answer::Reverted(data), Err(error)) => match table.judge(error, data) {
                Verdict::Same(pair) => {
                    *self.refused.entry(pair).or_default() += 1;
                    return;
                }
                Verdict::Earlier(pair) => {
                    *self.earlier.entry(pair).or_default() += 1;
                    return;
                }
                Verdict::Differ(what) => what,
            },
            (Answer::Reverted(data), Ok(_)) => {
                let revert = table
                    .name_of(data)
                    .map_or_else(|| hex::encode(data), Into::into);
                format!("Rust accepts, the contract refuses: {revert}; {rust:?}")
            }
            _ => format!("the contract: {contract:?}, Rust: {rust:?}"),
        };
        if self.differences.len() < 20 {
            self.differences
                .push(format!("{difference}\n    {}", describe()));
        }
    }

    pub(crate) fn add(&mut self, other: Tally) {
        self.accepted += other.accepted;
        for (pairs, more) in [
            (&mut self.refused, other.refused),
            (&mut self.earlier, other.earlier),
        ] {
            for (pair, count) in more {
                *pairs.entry(pair).or_default() += count;
            }
        }
        for (known, count) in other.known {
            *self.known.entry(known).or_default() += count;
        }
        self.differences.extend(other.differences);
    }

    pub(crate) fn cases(&self) -> u64 {
        let sum = |pairs: &BTreeMap<String, u64>| pairs.values().sum::<u64>();
        self.accepted + sum(&self.refused) + sum(&self.earlier) + self.known.values().sum::<u64>()
    }
}
