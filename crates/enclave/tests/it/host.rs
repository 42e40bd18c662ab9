//! The host's record store, honest until a test says otherwise.

use std::collections::HashMap;

use alloy_primitives::B256;
use keyfold_enclave::{PeerError, PeerRequest};
use keyfold_protocol::config::StoredTree;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::gateway_api::{
    RecordGet, RecordPut, RecordSettle, RecordVersion, RecordVersions, host_path,
};
use keyfold_protocol::holder_api::Empty;
use keyfold_protocol::ids::RecordId;

use crate::world::{Answer, ok, refuse};

#[derive(Default, Clone)]
pub(crate) struct SimHost {
    pub(crate) realm: Option<Vec<u8>>,
    pub(crate) records: HashMap<RecordId, Vec<RecordVersion>>,
    pub(crate) gets: usize,
    pub(crate) keeps_no_realm: bool,
    /// Everything that was put into the public store, by its root.
    pub(crate) trees: HashMap<B256, StoredTree>,
    pub(crate) keeps_no_trees: bool,
    /// Keeps every version for ever, to show the one it likes.
    pub(crate) hoards: bool,
    /// So many changes of records it refuses as if somebody else had been first.
    pub(crate) conflicts: usize,
}

impl SimHost {
    pub(crate) fn handle(&mut self, request: &PeerRequest) -> Result<Answer, PeerError> {
        Ok(match request.path.as_str() {
            host_path::REALM if request.method == "GET" => match &self.realm {
                Some(record) => Ok(record.clone()),
                None => refuse(Code::NotFound),
            },
            host_path::REALM if self.keeps_no_realm => refuse(Code::Unavailable),
            host_path::REALM => {
                self.realm = Some(request.body.clone());
                ok(Empty {})
            }
            host_path::TREE if self.keeps_no_trees => refuse(Code::Unavailable),
            host_path::TREE => {
                assert_eq!(request.method, "PUT");
                let tree: StoredTree = serde_json::from_slice(&request.body).unwrap();
                self.trees.insert(tree.root().unwrap(), tree);
                ok(Empty {})
            }
            host_path::RECORD_GET => {
                self.gets += 1;
                let get: RecordGet = serde_json::from_slice(&request.body).unwrap();
                let versions = self.records.get(&get.record).cloned().unwrap_or_default();
                ok(RecordVersions { versions })
            }
            host_path::RECORD_PUT if self.conflicts > 0 => {
                self.conflicts -= 1;
                refuse(Code::RecordConflict)
            }
            host_path::RECORD_PUT => {
                let put: RecordPut = serde_json::from_slice(&request.body).unwrap();
                self.records
                    .entry(put.record)
                    .or_default()
                    .push(put.version);
                ok(Empty {})
            }
            host_path::RECORD_SETTLE if self.hoards => ok(Empty {}),
            host_path::RECORD_SETTLE => {
                let settle: RecordSettle = serde_json::from_slice(&request.body).unwrap();
                if let Some(versions) = self.records.get_mut(&settle.record) {
                    versions.retain(|v| v.version > settle.version || v.hash == settle.hash);
                }
                ok(Empty {})
            }
            other => panic!("the host has no {other}"),
        })
    }

    /// All that the host has ever been given to keep.
    pub(crate) fn everything(&self) -> Vec<u8> {
        self.records
            .values()
            .flatten()
            .flat_map(|version| version.sealed.clone())
            .collect()
    }
}
