//! The public store of trees: whoever knows a root finds what it stands for, without an account.

use keyfold_protocol::config::{ConfigState, StoredTree};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::gateway_api::host_path;

use crate::peers::{call_host, to_json};
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;

/// Has the host keep a configuration and all trees in it. Repeating it changes nothing.
///
/// # Security
///
/// Nothing depends on the store: who reads it computes the root again. It is written before
/// anybody is told of the root, so that a root that somebody knows can be looked up.
pub(in crate::operations) async fn store_trees<P: Platform>(
    realm: &Realm<P>,
    state: &ConfigState,
) -> Result<(), Problem> {
    let trees = StoredTree::all_of(state)
        .map_err(|_| Problem::internal("a configuration cannot be written"))?;
    for tree in trees {
        let body = to_json(&tree).map_err(|_| Problem::internal("a tree cannot be written"))?;
        let stored = call_host(realm.core.platform(), "PUT", host_path::TREE, body).await;
        if !matches!(stored, Ok(Some(_))) {
            tracing::warn!(error = ?stored.err(), "the host's tree store");
            return Err(Problem::new(
                Code::Unavailable,
                "the tree store does not answer",
            ));
        }
    }
    Ok(())
}
