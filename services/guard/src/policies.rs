//! The projects' policies: one JSON file each, read again when it changes.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use keyfold_guard::{Policy, ValidPolicy};
use keyfold_protocol::ids::ProjectId;

/// Largest policy file, bytes.
const MAX_POLICY_BYTES: u64 = 1024 * 1024;
/// Most policies kept in memory.
const MAX_CACHED: usize = 1024;

type Stamp = (SystemTime, u64);

/// Reads policies from a folder.
#[derive(Debug)]
pub(crate) struct Policies {
    folder: PathBuf,
    cache: Mutex<HashMap<ProjectId, (Stamp, Arc<ValidPolicy>)>>,
}

impl Policies {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            cache: Mutex::default(),
        }
    }

    /// Returns a project's policy; `None` where there is none that can be used, which refuses all.
    pub(crate) fn of(&self, project: &ProjectId) -> Option<Arc<ValidPolicy>> {
        // A project id is a domain: it cannot leave the folder.
        let path = self.folder.join(format!("{project}.json"));
        let meta = std::fs::metadata(&path).ok()?;
        let stamp = (meta.modified().ok()?, meta.len());
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((cached, policy)) = cache.get(project)
            && *cached == stamp
        {
            return Some(Arc::clone(policy));
        }
        cache.remove(project);
        if meta.len() > MAX_POLICY_BYTES {
            tracing::error!(%project, "the policy file is too large");
            return None;
        }
        let text = std::fs::read(&path).ok()?;
        let policy = serde_json::from_slice::<Policy>(&text)
            .map_err(|error| error.to_string())
            .and_then(|policy| ValidPolicy::try_from(policy).map_err(|error| error.to_string()));
        match policy {
            Ok(policy) => {
                let policy = Arc::new(policy);
                if cache.len() < MAX_CACHED {
                    cache.insert(project.clone(), (stamp, Arc::clone(&policy)));
                }
                Some(policy)
            }
            Err(error) => {
                tracing::error!(%project, %error, "the policy cannot be used; everything is refused");
                None
            }
        }
    }
}
