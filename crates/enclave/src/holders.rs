//! The realm's holders: asked in parallel, waited for no longer than needed.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::realm::{HolderCard, RealmRecord};
use serde::de::DeserializeOwned;

use crate::core::Core;
use crate::peers::{CallError, Registrant};
use crate::platform::Platform;
use crate::problem::Problem;

/// One holder.
pub(crate) struct Holder<P> {
    /// 1..=n.
    pub(crate) index: u8,
    pub(crate) card: HolderCard,
    pub(crate) link: Registrant<P>,
}

/// All holders of the realm.
pub(crate) struct Holders<P> {
    list: Vec<Arc<Holder<P>>>,
    threshold: usize,
    write_quorum: usize,
}

/// Answers that are still to come.
pub(crate) type Asked<T> = FuturesUnordered<BoxFuture<'static, (u8, Result<T, CallError>)>>;

/// What came until enough was there, or could not be any more.
pub(crate) struct Gathered<T> {
    pub(crate) good: Vec<(u8, T)>,
    pub(crate) bad: Vec<(u8, CallError)>,
    /// Those that were not waited for. Dropping them abandons their requests.
    pub(crate) rest: Asked<T>,
}

impl<P: Platform> Holders<P> {
    pub(crate) fn new(core: &Arc<Core<P>>, record: &RealmRecord) -> Self {
        let list = (1..=u8::MAX)
            .zip(&record.holders)
            .map(|(index, card)| {
                let spki = *card.tls_spki_sha256.as_bytes();
                let link = Registrant::new(Arc::clone(core), card.address.clone(), spki);
                Arc::new(Holder {
                    index,
                    card: card.clone(),
                    link,
                })
            })
            .collect();
        Self {
            list,
            threshold: usize::from(record.threshold),
            write_quorum: record.write_quorum(),
        }
    }

    pub(crate) fn list(&self) -> &[Arc<Holder<P>>] {
        &self.list
    }

    /// The holder of an index, 1..=n.
    pub(crate) fn get(&self, index: u8) -> Option<&Arc<Holder<P>>> {
        self.list.iter().find(|holder| holder.index == index)
    }

    pub(crate) fn count(&self) -> usize {
        self.list.len()
    }

    /// t.
    pub(crate) fn threshold(&self) -> usize {
        self.threshold
    }

    /// How many must store a change before it counts.
    pub(crate) fn write_quorum(&self) -> usize {
        self.write_quorum
    }

    /// Starts one request at each holder.
    pub(crate) fn ask<T, F, Fut>(&self, request: F) -> Asked<T>
    where
        F: Fn(Arc<Holder<P>>) -> Fut,
        Fut: Future<Output = Result<T, CallError>> + Send + 'static,
    {
        self.list
            .iter()
            .map(|holder| {
                let index = holder.index;
                let answer = request(Arc::clone(holder));
                async move { (index, answer.await) }.boxed()
            })
            .collect()
    }

    /// Starts the same request at each holder.
    pub(crate) fn ask_same<T>(&self, path: &'static str, body: Vec<u8>) -> Asked<T>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let body: Arc<[u8]> = body.into();
        self.ask(|holder| {
            let body = Arc::clone(&body);
            async move { holder.link.call(path, &body).await }
        })
    }

    /// Says why fewer than `needed` holders agreed, naming those that did not.
    pub(crate) fn shortage(&self, needed: usize, bad: &[(u8, CallError)]) -> Problem {
        let decisive = decisive(self.count(), needed, bad);
        let mut named: Vec<_> = bad.iter().collect();
        named.sort_by_key(|(index, _)| *index);
        let named: Vec<String> = named
            .iter()
            .map(|(index, error)| format!("{} {error}", self.name(*index)))
            .collect();
        Problem::new(
            decisive.unwrap_or(Code::HoldersUnavailable),
            named.join("; "),
        )
    }

    /// The name of a holder, for people.
    pub(crate) fn name(&self, index: u8) -> &str {
        self.get(index)
            .map_or("?", |holder| holder.card.name.as_str())
    }
}

/// Refusals that tell the client something about itself; the rest is between enclave and holder.
fn may_be_passed_on(code: Code) -> bool {
    matches!(
        code,
        Code::DeviceUnknown
            | Code::DevicePending
            | Code::DeviceRevoked
            | Code::DeviceLimit
            | Code::SessionRevoked
            | Code::SessionExpired
            | Code::SessionInvalid
            | Code::MailLimit
            | Code::AttemptLimit
            | Code::ReleaseLimit
            | Code::RateLimited
            | Code::OwnershipMismatch
            | Code::KeyUnknown
            | Code::NonceReused
            | Code::SignatureExpired
            | Code::ShareInvalid
            | Code::RealmExists
            | Code::AttestationRefused
    )
}

/// A refusal that alone keeps the number from being reached: it is the answer.
fn decisive(count: usize, needed: usize, bad: &[(u8, CallError)]) -> Option<Code> {
    bad.iter().find_map(|(_, error)| {
        let code = error.code().filter(|code| may_be_passed_on(*code))?;
        let same = bad
            .iter()
            .filter(|(_, other)| other.code() == Some(code))
            .count();
        (count.saturating_sub(same) < needed).then_some(code)
    })
}

/// Waits until `needed` answers are good, or can no longer be and it is known why: a holder that is
/// away must not hide what the others refuse for.
pub(crate) async fn first<T>(needed: usize, mut asked: Asked<T>) -> Gathered<T> {
    let count = asked.len();
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    while good.len() < needed
        && (good.len() + asked.len() >= needed || decisive(count, needed, &bad).is_none())
    {
        match asked.next().await {
            Some((index, Ok(answer))) => good.push((index, answer)),
            Some((index, Err(error))) => bad.push((index, error)),
            None => break,
        }
    }
    Gathered {
        good,
        bad,
        rest: asked,
    }
}

impl<T> Gathered<T> {
    /// Waits for one answer more, if one is still to come.
    pub(crate) async fn one_more(&mut self) {
        match self.rest.next().await {
            Some((index, Ok(answer))) => self.good.push((index, answer)),
            Some((index, Err(error))) => self.bad.push((index, error)),
            None => {}
        }
    }

    /// Waits for everybody else too.
    pub(crate) async fn all(mut self) -> Self {
        while let Some((index, answer)) = self.rest.next().await {
            match answer {
                Ok(answer) => self.good.push((index, answer)),
                Err(error) => self.bad.push((index, error)),
            }
        }
        self
    }
}

impl<T: Send + 'static> Gathered<T> {
    /// Lets the others finish in the background, so that they do what they were asked and their
    /// connections live on.
    pub(crate) fn let_rest_finish<P: Platform>(self, core: &Core<P>) -> Vec<(u8, T)> {
        if !self.rest.is_empty() {
            let mut rest = self.rest;
            core.background
                .run(async move { while rest.next().await.is_some() {} });
        }
        self.good
    }
}
