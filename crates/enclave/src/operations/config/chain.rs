//! The configurations of a wallet's record, and signatures that lead from the first to the latest.

use alloy_primitives::{Address, B256, Bytes};
use keyfold_protocol::config::{ConfigLink, ConfigState, WalletConfig};
use keyfold_protocol::error_code::Code;
use keyfold_wallet::config::Members;
use keyfold_wallet::signature::{Header, Parts, encode, encode_chain};
use keyfold_wallet::{EcdsaSignature, SignaturePart, ValidConfig};

use crate::problem::Problem;
use crate::records::{UpdateRecord, WalletRecord};

/// One configuration, and what its signers signed to replace it.
struct Link {
    config: ValidConfig,
    parts: Parts,
}

/// A wallet's configurations, replayed from its record.
pub(in crate::operations) struct Chain {
    /// Those that were replaced, oldest first.
    replaced: Vec<Link>,
    first: ConfigState,
    latest: ConfigState,
    latest_config: ValidConfig,
}

/// A signer with its signature.
type Part = (Address, EcdsaSignature);

fn broken() -> Problem {
    Problem::internal("a wallet's record does not lead to its configuration")
}

impl Chain {
    /// Replays a record; each root must be the one that was recorded.
    pub(in crate::operations) fn of(record: &WalletRecord) -> Result<Self, Problem> {
        let members = Members::of_new_wallet(&record.config).ok_or_else(broken)?;
        let first = ConfigState {
            context: record.context,
            members,
            checkpoint: record.config.checkpoint,
            checkpointer: record.config.checkpointer,
        };
        let mut latest = first.clone();
        let mut latest_config = latest.config().map_err(|_| broken())?;
        let mut replaced = Vec::new();
        for update in &record.updates {
            let next = latest.after(&update.change).map_err(|_| broken())?;
            let config = next.config().map_err(|_| broken())?;
            if config.image_hash() != update.image_hash {
                return Err(broken());
            }
            let parts = parts_of(update, &latest.members).ok_or_else(broken)?;
            let before = core::mem::replace(&mut latest_config, config);
            replaced.push(Link {
                config: before,
                parts,
            });
            latest = next;
        }
        Ok(Self {
            replaced,
            first,
            latest,
            latest_config,
        })
    }

    /// The latest configuration.
    pub(in crate::operations) fn latest(&self) -> &ConfigState {
        &self.latest
    }

    /// Its root.
    pub(in crate::operations) fn latest_root(&self) -> B256 {
        self.latest_config.image_hash()
    }

    /// How often the configuration was changed.
    pub(in crate::operations) fn len(&self) -> usize {
        self.replaced.len()
    }

    /// Composes a signature of the latest configuration that a wallet takes which knows the first,
    /// or the one that is named: newest first, each replaced configuration from there on with its
    /// signers' word for the next.
    pub(in crate::operations) fn signature(
        &self,
        owner: Part,
        guard: Option<Part>,
        proof: Option<Bytes>,
        known: Option<&B256>,
    ) -> Result<Bytes, Problem> {
        let replaced = self.since(known)?;
        let parts = parts(owner, guard);
        let on_chain = Header {
            checkpointer_data: proof,
            ..Header::default()
        };
        let encoded = if replaced.is_empty() {
            // Refuses a part that belongs to no leaf: an owner who is not in the configuration.
            encode(&self.latest_config, &parts, &on_chain)
        } else {
            let update = |data: Option<Bytes>| Header {
                no_chain_id: true,
                checkpointer_data: data,
                ..Header::default()
            };
            let mut links = vec![(&self.latest_config, &parts, Header::default())];
            for (at, link) in replaced.iter().enumerate().rev() {
                let data = on_chain.checkpointer_data.clone().filter(|_| at == 0);
                links.push((&link.config, &link.parts, update(data)));
            }
            encode_chain(&links)
        };
        encoded.map_err(|_| Problem::internal("the wallet's signature cannot be composed"))
    }

    /// The configurations that were replaced since the chain was told of a root.
    fn since(&self, known: Option<&B256>) -> Result<&[Link], Problem> {
        let Some(known) = known else {
            return Ok(&self.replaced);
        };
        let roots = self.replaced.iter().map(|link| link.config.image_hash());
        let at = roots
            .chain([self.latest_root()])
            .position(|root| root == *known);
        at.and_then(|at| self.replaced.get(at..)).ok_or_else(|| {
            Problem::new(
                Code::ConfigInvalid,
                "the chain is said to know a root that the wallet never had",
            )
        })
    }

    /// Everything that is public of it.
    pub(in crate::operations) fn describe(
        &self,
        record: &WalletRecord,
    ) -> Result<WalletConfig, Problem> {
        let header = Header {
            no_chain_id: true,
            ..Header::default()
        };
        let links = self.replaced.iter().zip(&record.updates);
        let updates = links.map(|(link, update)| {
            let signature = encode(&link.config, &link.parts, &header).map_err(|_| broken())?;
            Ok(ConfigLink {
                change: update.change.clone(),
                image_hash: update.image_hash,
                signed_at: update.signed_at,
                signature,
            })
        });
        Ok(WalletConfig {
            wallet: record.address,
            first: self.first.clone(),
            updates: updates.collect::<Result<_, Problem>>()?,
        })
    }
}

fn parts(owner: Part, guard: Option<Part>) -> Parts {
    core::iter::once(owner)
        .chain(guard)
        .map(|(signer, signature)| (signer, SignaturePart::EcdsaHash(signature)))
        .collect()
}

fn parts_of(update: &UpdateRecord, members: &Members) -> Option<Parts> {
    let owner = EcdsaSignature::from_compact(&update.owner.0)?;
    let guard = match (members.guard, &update.guard) {
        (Some(guard), Some(signature)) => {
            Some((guard, EcdsaSignature::from_compact(&signature.0)?))
        }
        (None, None) => None,
        _ => return None,
    };
    Some(parts((members.owner, owner), guard))
}
