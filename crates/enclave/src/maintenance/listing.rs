//! Which keys there are: what the holders say together.

use std::collections::BTreeSet;

use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::holder_api::path;
use keyfold_protocol::ids::KeyId;
use keyfold_protocol::maintenance::{KeyPage, KeyQuery, MAX_BATCH};

use crate::holders::first;
use crate::peers::to_json;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;

/// A part of the keys that some holder has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// In ascending order, each with whose it is said to be: records decide that.
    pub(super) keys: Vec<(KeyId, AccountRef)>,
    /// The last one looked at, if there may be more.
    pub(super) next: Option<KeyId>,
    /// How many there are, by the holder that has most.
    pub(super) total: u64,
}

/// Asks all holders; t must answer, since of any t one is honest and has every wallet's key.
pub(super) async fn list<P: Platform>(
    realm: &Realm<P>,
    below: u32,
    after: Option<KeyId>,
) -> Result<Listed, Problem> {
    let query = KeyQuery {
        below,
        after,
        limit: u16::try_from(MAX_BATCH).unwrap_or(u16::MAX),
    };
    let body = to_json(&query).map_err(|_| Problem::internal("keys cannot be asked for"))?;
    let needed = realm.holders.threshold();
    let asked = realm.holders.ask_same::<KeyPage>(path::KEY_LIST, body);
    // Who is away would be missed later anyway, and has what others may have lost.
    let gathered = first(realm.holders.count(), asked).await.all().await;
    if gathered.good.len() < needed {
        return Err(realm.holders.shortage(needed, &gathered.bad));
    }
    Ok(merge(
        gathered.good.into_iter().map(|(_, page)| page),
        after,
    ))
}

/// One page of several.
///
/// A holder with a full page says nothing of what comes after its last key, so neither does the
/// merged page.
fn merge(pages: impl Iterator<Item = KeyPage>, after: Option<KeyId>) -> Listed {
    let (mut keys, mut end, mut total) = (BTreeSet::new(), None::<KeyId>, 0);
    for page in pages {
        total = total.max(page.total);
        let mut last = after;
        let mut count = 0;
        for entry in page.keys.into_iter().take(MAX_BATCH) {
            // Out of order: whoever repeats itself is not listened to any further.
            if last.is_some_and(|last| entry.key.as_bytes() <= last.as_bytes()) {
                break;
            }
            last = Some(entry.key);
            count += 1;
            keys.insert((*entry.key.as_bytes(), Sorted(entry.owner)));
        }
        if count == MAX_BATCH {
            end = match (end, last) {
                (Some(a), Some(b)) if a.as_bytes() < b.as_bytes() => Some(a),
                (_, last) => last,
            };
        }
    }
    let within = |key: &[u8; 16]| end.is_none_or(|end| key <= end.as_bytes());
    let keys = keys.into_iter().filter(|(key, _)| within(key));
    Listed {
        keys: keys
            .map(|(key, owner)| (KeyId::from_bytes(key), owner.0))
            .collect(),
        next: end,
        total,
    }
}

/// An owner, in an order.
#[derive(PartialEq, Eq)]
struct Sorted(AccountRef);

impl Ord for Sorted {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        let key = |one: &AccountRef| (one.project.as_str().to_owned(), *one.account.as_bytes());
        key(&self.0).cmp(&key(&other.0))
    }
}

impl PartialOrd for Sorted {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use keyfold_protocol::ids::AccountId;
    use keyfold_protocol::maintenance::KeyEntry;

    use super::*;

    fn entry(at: u8, owner: u8) -> KeyEntry {
        KeyEntry {
            key: KeyId::from_bytes([at; 16]),
            owner: AccountRef {
                project: "app.example".parse().unwrap(),
                account: AccountId::from_bytes([owner; 16]),
            },
            generation: 1,
        }
    }

    fn page(keys: impl IntoIterator<Item = u8>) -> KeyPage {
        KeyPage {
            keys: keys.into_iter().map(|at| entry(at, 1)).collect(),
            total: 7,
        }
    }

    fn ids(listed: &Listed) -> Vec<u8> {
        listed
            .keys
            .iter()
            .map(|(key, _)| key.as_bytes()[0])
            .collect()
    }

    #[test]
    fn what_one_holder_lacks_another_names() {
        let listed = merge([page([1, 3]), page([2, 3])].into_iter(), None);
        assert_eq!(ids(&listed), [1, 2, 3]);
        assert_eq!((listed.next, listed.total), (None, 7));
    }

    #[test]
    fn no_key_is_passed_over_where_a_page_ends() {
        let full = u8::try_from(MAX_BATCH).unwrap();
        let listed = merge([page(1..=full), page([5, 200])].into_iter(), None);
        assert_eq!(ids(&listed), (1..=full).collect::<Vec<_>>());
        assert_eq!(listed.next, Some(KeyId::from_bytes([full; 16])));
        // Nor where one page ends before the other.
        let early = page((1..=full).map(|at| at * 2));
        let listed = merge([early, page(1..=full)].into_iter(), None);
        assert_eq!(ids(&listed).last(), Some(&full));
    }

    #[test]
    fn a_holder_that_repeats_itself_keeps_nobody_going_round() {
        let after = Some(KeyId::from_bytes([9; 16]));
        let listed = merge([page([3, 9, 10])].into_iter(), after);
        assert_eq!(ids(&listed), [] as [u8; 0]);
        assert_eq!(listed.next, None);
    }

    #[test]
    fn of_two_owners_each_is_looked_at() {
        let other = KeyPage {
            keys: vec![entry(1, 2)],
            total: 1,
        };
        let listed = merge([page([1]), other].into_iter(), None);
        assert_eq!(ids(&listed), [1, 1]);
    }
}
