//! Something to try: random configurations and session trees, well-formed and of bounded size.

use alloy_primitives::{Address, B256, U256, keccak256};
use serde::Deserialize;

use super::params::{Number, read};
use super::{Answer, Entropy, OracleError, json};
use crate::config::{Config, Topology};
use crate::session::{
    Comparison, MAX_PERMISSIONS, MAX_RULES, Permission, Rule, SessionPermissions, SessionTopology,
};

/// Deepest random tree.
const MAX_DEPTH: u64 = 100;
/// Most leaves of a random tree.
const MAX_LEAVES: u64 = 2048;
/// Most rules of a random session.
const MAX_SESSION_RULES: u64 = 1024;

/// A stream of numbers from a seed: keccak256 of seed and counter, again and again. No secret
/// depends on it.
struct Stream {
    seed: B256,
    counter: u64,
}

impl Stream {
    fn new(seed: Option<&str>, entropy: Entropy<'_>) -> Self {
        let seed = seed.map_or_else(|| B256::from(entropy()), keccak256);
        Self { seed, counter: 0 }
    }

    fn word(&mut self) -> B256 {
        self.counter = self.counter.wrapping_add(1);
        keccak256([self.seed.as_slice(), &self.counter.to_be_bytes()].concat())
    }

    fn number(&mut self) -> u64 {
        self.word()
            .first_chunk()
            .map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }

    /// A number from `low` up to, not including, `high`.
    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.number() % high.saturating_sub(low).max(1)
    }

    fn address(&mut self) -> Address {
        Address::from_word(self.word())
    }

    fn weight(&mut self) -> u8 {
        self.between(0, 256) as u8
    }
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Skewed {
    Left,
    Right,
    #[default]
    None,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Checkpointer {
    #[default]
    No,
    Random,
    Yes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RandomConfig {
    max_depth: Number<u64>,
    seed: Option<String>,
    min_threshold_on_nested: Number<u16>,
    checkpointer: Checkpointer,
    skewed: Skewed,
}

impl Default for RandomConfig {
    fn default() -> Self {
        Self {
            max_depth: Number(3),
            seed: None,
            min_threshold_on_nested: Number(0),
            checkpointer: Checkpointer::default(),
            skewed: Skewed::default(),
        }
    }
}

fn bounded_depth(depth: u64) -> Result<u64, OracleError> {
    if depth > MAX_DEPTH {
        return Err(OracleError::Failed(format!(
            "maxDepth is at most {MAX_DEPTH}"
        )));
    }
    Ok(depth)
}

pub(super) fn config(params: &str, entropy: Entropy<'_>) -> Answer {
    let wanted: RandomConfig = read(params)?;
    let max_depth = bounded_depth(wanted.max_depth.0)?;
    let mut trees = Trees {
        stream: Stream::new(wanted.seed.as_deref(), entropy),
        leaves: 0,
        skewed: wanted.skewed,
        min_nested_threshold: u64::from(wanted.min_threshold_on_nested.0),
    };
    let with_checkpointer = match wanted.checkpointer {
        Checkpointer::No => false,
        Checkpointer::Yes => true,
        Checkpointer::Random => trees.stream.between(0, 2) == 1,
    };
    let checkpointer = with_checkpointer.then(|| trees.stream.address());
    json(&Config {
        threshold: trees.stream.between(0, 100) as u16,
        checkpoint: trees.stream.between(0, 1000),
        checkpointer,
        topology: trees.tree(max_depth),
    })
}

struct Trees {
    stream: Stream,
    leaves: u64,
    skewed: Skewed,
    min_nested_threshold: u64,
}

impl Trees {
    fn tree(&mut self, depth: u64) -> Topology {
        let Some(below) = depth.checked_sub(1) else {
            return self.leaf(true);
        };
        match self.skewed {
            Skewed::Left => {
                let leaf = self.leaf(true);
                Topology::branch(leaf, self.tree(below))
            }
            Skewed::Right => {
                let tree = self.tree(below);
                Topology::branch(tree, self.leaf(true))
            }
            Skewed::None if self.leaves >= MAX_LEAVES || self.stream.between(0, 4) == 0 => {
                self.leaf(true)
            }
            Skewed::None => {
                let left = self.tree(below);
                Topology::branch(left, self.tree(below))
            }
        }
    }

    fn leaf(&mut self, may_nest: bool) -> Topology {
        self.leaves += 1;
        match self.stream.between(0, if may_nest { 5 } else { 4 }) {
            0 => Topology::Signer {
                address: self.stream.address(),
                weight: self.stream.weight(),
            },
            1 => Topology::Sapient {
                address: self.stream.address(),
                weight: self.stream.weight(),
                image_hash: self.stream.word(),
            },
            2 => Topology::Subdigest(self.stream.word()),
            3 => Topology::Node(self.stream.word()),
            _ => Topology::Nested {
                tree: Box::new(self.leaf(false)),
                weight: self.stream.weight(),
                threshold: self
                    .stream
                    .between(self.min_nested_threshold, u64::from(u16::MAX))
                    .min(u64::from(u16::MAX)) as u16,
            },
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RandomSessions {
    max_depth: Number<u64>,
    max_permissions: Number<u64>,
    max_rules: Number<u64>,
    seed: Option<String>,
}

impl Default for RandomSessions {
    fn default() -> Self {
        Self {
            max_depth: Number(1),
            max_permissions: Number(1),
            max_rules: Number(1),
            seed: None,
        }
    }
}

pub(super) fn session_topology(params: &str, entropy: Entropy<'_>) -> Answer {
    let wanted: RandomSessions = read(params)?;
    // As many sessions as a tree of that depth can have, but no more than can be written down.
    let depth = bounded_depth(wanted.max_depth.0)?.min(4);
    let max_permissions = wanted.max_permissions.0.clamp(1, MAX_PERMISSIONS as u64);
    let max_rules = wanted.max_rules.0.min(MAX_RULES as u64);
    if max_permissions * max_rules > MAX_SESSION_RULES {
        return Err(OracleError::failed(
            "maxPermissions times maxRules is too much",
        ));
    }
    let mut stream = Stream::new(wanted.seed.as_deref(), entropy);
    let sessions = stream.between(1, (1 << depth) + 1);
    let mut leaves = vec![
        SessionTopology::Blacklist(blacklist(&mut stream)),
        SessionTopology::IdentitySigner(stream.address()),
    ];
    for _ in 0..sessions {
        leaves.push(SessionTopology::Session(session(
            &mut stream,
            max_permissions,
            max_rules,
        )));
    }
    json(&SessionTopology::balanced(leaves).map_err(OracleError::failed)?)
}

fn blacklist(stream: &mut Stream) -> Vec<Address> {
    let count = stream.between(0, 4);
    let mut addresses: Vec<Address> = (0..count).map(|_| stream.address()).collect();
    addresses.sort_unstable();
    addresses
}

fn session(stream: &mut Stream, max_permissions: u64, max_rules: u64) -> SessionPermissions {
    let permissions = (0..stream.between(1, max_permissions + 1))
        .map(|_| Permission {
            target: stream.address(),
            rules: (0..stream.between(0, max_rules + 1))
                .map(|_| rule(stream))
                .collect(),
        })
        .collect();
    SessionPermissions {
        signer: stream.address(),
        chain_id: stream.between(0, 1 << 32),
        value_limit: stream.word().into(),
        deadline: stream.between(0, 1 << 40),
        permissions,
    }
}

fn rule(stream: &mut Stream) -> Rule {
    let operation = stream.between(0, 4) as u8;
    Rule {
        cumulative: stream.between(0, 2) == 1,
        comparison: Comparison::from_number(operation).unwrap_or(Comparison::Equal),
        value: stream.word(),
        offset: U256::from(stream.between(0, 256)),
        mask: stream.word(),
    }
}
