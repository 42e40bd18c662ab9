//! The host: gateway, pipes, relayer.

use std::collections::BTreeMap;
use std::sync::Mutex;

use alloy_primitives::{B256, U256};
use async_trait::async_trait;
use keyfold_crypto::jwk::Thumbprint;
use keyfold_crypto::testing::SeededRng;
use keyfold_platform_dev::issuer::{DevIssuer, IssueRequest};
use keyfold_protocol::client_api::{Signed, WalletInfo};
use keyfold_protocol::config::StoredTree;
use keyfold_protocol::delivery;
use keyfold_protocol::error_code::{Code, ProblemBody};
use keyfold_protocol::gateway_api::{self, AttestationRequest, Instances};
use keyfold_protocol::ids::{AccountId, CookieSlot, InstanceId, RequestId};
use keyfold_protocol::ohttp::{InnerResponse, RESPONSE_MEDIA_TYPE};
use keyfold_protocol::realm::SignedRealmRecord;
use keyfold_protocol::registration::AttestedBinding;
use keyfold_protocol::relayer_api::{
    IDEMPOTENCY_HEADER, Relay, RelayState, Relayed, WalletOnChain,
};

use super::enclave::SLOT;
use super::environment::{Clock, a_turn};
use super::realm::{Enclave, image};
use crate::{OuterRequest, OuterResponse, Transport, TransportError};

type Alter<T> = Box<dyn Fn(&mut T) + Send>;

/// What the host is made of. Tests reach in.
pub(crate) struct State {
    pub(crate) issuer: DevIssuer,
    pub(crate) record: SignedRealmRecord,
    pub(crate) enclaves: Vec<Enclave>,
    /// What the gateway lists; the enclaves unless a test says otherwise.
    pub(crate) listed: Option<Vec<InstanceId>>,
    /// Routes whatever is for any instance to the first.
    pub(crate) misroute: bool,
    /// Changes the answer to an attestation request.
    pub(crate) alter_attested: Option<Alter<AttestedBinding>>,
    /// Changes the nonce before the enclave sees it.
    pub(crate) alter_nonce: Option<Alter<Vec<u8>>>,
    /// Changes a sealed reply.
    pub(crate) alter_sealed: Option<Alter<Vec<u8>>>,
    /// Changes a wallet that the enclave tells of.
    pub(crate) alter_wallet: Option<Alter<WalletInfo>>,
    /// Changes what the enclave signed.
    pub(crate) alter_signed: Option<Alter<Signed>>,
    /// Answers the next sealed request without opening it.
    pub(crate) answer_plainly: Option<OuterResponse>,
    /// Answers every sealed request so, without opening it.
    pub(crate) always_plain: Option<OuterResponse>,
    /// Refuses inside the channel, once, before it looks at the request.
    pub(crate) refuse: Option<Code>,
    /// Refuses inside the channel, once, after it verified the request.
    pub(crate) refuse_after_opening: Option<Code>,
    /// Nonces of the signed requests.
    pub(crate) nonces: Vec<String>,
    pub(crate) attestations: usize,
    /// Request ids and paths as the enclaves opened them.
    pub(crate) opened: Vec<(RequestId, String)>,
    /// Whatever arrived at an instance, sealed.
    pub(crate) sealed_requests: Vec<Vec<u8>>,
    pub(crate) session_seconds: u64,
    pub(crate) attestation_seconds: u64,
    pub(crate) signed_in: u32,
    /// What the browser's cookie holds; not sealed here.
    pub(crate) cookie: Option<String>,
    /// What of it came with the request under way.
    pub(crate) passed: Option<String>,
    /// Requests that were refused since their cookie was another's.
    pub(crate) overtaken: usize,
    /// Requests with which cookies went.
    pub(crate) with_cookies: usize,
    /// Whose account every address signs in to.
    pub(crate) account: AccountId,
    pub(crate) wallets: Vec<WalletInfo>,
    /// The devices whose names were signed.
    pub(crate) approved: Vec<Thumbprint>,
    /// What was asked to be ended.
    pub(crate) revoked: Vec<String>,
    /// The public store, which may lie.
    pub(crate) trees: BTreeMap<B256, StoredTree>,
    pub(crate) relayed: BTreeMap<RequestId, (Relay, usize)>,
    /// Drops so many answers of the relayer after it acted.
    pub(crate) lose_answers: usize,
    /// Cannot be reached by who asks for a transaction.
    pub(crate) lose_looks: bool,
    /// Takes no transaction over, for this reason.
    pub(crate) refuse_relay: Option<Code>,
    /// Looks at a transaction before it is in a block.
    pub(crate) looks_until_mined: usize,
    pub(crate) outcome: RelayState,
    pub(super) rng: SeededRng,
}

pub(crate) struct Host {
    pub(crate) clock: Clock,
    pub(crate) state: Mutex<State>,
}

impl Host {
    pub(crate) fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        change(&mut self.state.lock().unwrap())
    }
}

#[async_trait]
impl Transport for Host {
    async fn send(&self, request: OuterRequest) -> Result<OuterResponse, TransportError> {
        a_turn().await;
        let now_ms = self.clock.now_ms();
        self.state.lock().unwrap().answer(&request, now_ms)
    }
}

pub(super) fn answer<T: serde::Serialize>(value: &T) -> OuterResponse {
    OuterResponse {
        status: 200,
        content_type: Some("application/json".into()),
        body: serde_json::to_vec(value).unwrap(),
    }
}

pub(crate) fn problem(code: Code) -> OuterResponse {
    OuterResponse {
        status: code.status(),
        content_type: Some("application/problem+json".into()),
        body: serde_json::to_vec(&ProblemBody::new(code, None)).unwrap(),
    }
}

impl State {
    fn answer(
        &mut self,
        request: &OuterRequest,
        now_ms: u64,
    ) -> Result<OuterResponse, TransportError> {
        let path = request.path.as_str();
        Ok(match path {
            gateway_api::path::REALM => answer(&self.record),
            gateway_api::path::INSTANCES => answer(&Instances {
                instances: self
                    .listed
                    .clone()
                    .unwrap_or_else(|| self.enclaves.iter().map(Enclave::id).collect()),
            }),
            gateway_api::path::TRANSACTIONS => {
                let relayed = self.relay(request);
                if self.lose_answers > 0 {
                    self.lose_answers -= 1;
                    return Err(TransportError {
                        reason: "the connection broke".into(),
                        may_have_been_sent: true,
                        unverified: false,
                    });
                }
                relayed
            }
            _ if path.starts_with("/v1/transactions/") && self.lose_looks => {
                return Err(TransportError {
                    reason: "nobody listens".into(),
                    may_have_been_sent: false,
                    unverified: false,
                });
            }
            _ if path.starts_with("/v1/transactions/") => {
                let id = path.rsplit('/').next().unwrap().parse().unwrap();
                self.transaction(id)
            }
            _ if path.starts_with("/v1/trees/") => {
                let root: B256 = path.rsplit('/').next().unwrap().parse().unwrap();
                match self.trees.get(&root) {
                    Some(tree) => answer(tree),
                    None => problem(Code::NotFound),
                }
            }
            _ if path.starts_with("/v1/chains/") => answer(&WalletOnChain {
                deployed: false,
                nonce: self.relayed.len() as u64,
                balance: U256::from(1),
                image_hash: None,
            }),
            _ => {
                let mut parts = path.split('/').skip(3);
                let id = parts.next().unwrap().parse::<InstanceId>().unwrap();
                let right = |enclave: &Enclave| self.misroute || enclave.id() == id;
                let Some(at) = self.enclaves.iter().position(right) else {
                    return Ok(problem(Code::UnknownInstance));
                };
                match parts.next().unwrap() {
                    "attestation" => self.attest(at, request, now_ms),
                    _ => self.sealed(at, request, now_ms),
                }
            }
        })
    }

    fn attest(&mut self, at: usize, request: &OuterRequest, now_ms: u64) -> OuterResponse {
        self.attestations += 1;
        let asked: AttestationRequest = serde_json::from_slice(&request.body).unwrap();
        let mut nonce = asked.nonce.as_bytes().to_vec();
        if let Some(alter) = &self.alter_nonce {
            alter(&mut nonce);
        }
        let enclave = &self.enclaves[at];
        let image = image();
        let issue = IssueRequest {
            module_id: "i-test".into(),
            timestamp_ms: now_ms,
            pcrs: BTreeMap::from([
                (0, enclave.pcr0),
                (1, image.pcr1),
                (2, image.pcr2),
                (16, enclave.pcr16),
            ]),
            nonce: Some(nonce),
            user_data: Some(enclave.binding.user_data().to_vec()),
            public_key: Some(enclave.hpke.public_key().0.to_vec()),
        };
        let mut attested = AttestedBinding {
            document: self.issuer.issue(&issue, &mut self.rng).unwrap(),
            binding: enclave.binding.clone(),
        };
        if let Some(alter) = &self.alter_attested {
            alter(&mut attested);
        }
        answer(&attested)
    }

    fn sealed(&mut self, at: usize, request: &OuterRequest, now_ms: u64) -> OuterResponse {
        self.sealed_requests.push(request.body.clone());
        self.with_cookies += usize::from(request.with_cookies);
        let slot = CookieSlot::from_bytes(SLOT).to_string();
        let named = request.headers == [(delivery::header::COOKIE, slot)];
        assert!(named || request.headers.is_empty());
        self.passed = self
            .cookie
            .clone()
            .filter(|_| named && request.with_cookies);
        if let Some(plain) = self.answer_plainly.take().or(self.always_plain.clone()) {
            return plain;
        }
        let opened = self.enclaves[at].ohttp.open(&request.body, now_ms / 1000);
        let Ok((inner, sealer)) = opened else {
            return problem(Code::UnknownKey);
        };
        let id = self.enclaves[at].id();
        let reply = match self.refuse.take() {
            Some(code) => problem(code),
            None => self.enclave(id, &inner, now_ms / 1000),
        };
        let reply = InnerResponse {
            status: reply.status,
            headers: Vec::new(),
            body: reply.body,
        };
        let mut sealed = sealer.seal(&reply).unwrap();
        if let Some(alter) = &self.alter_sealed {
            alter(&mut sealed);
        }
        OuterResponse {
            status: 200,
            content_type: Some(RESPONSE_MEDIA_TYPE.into()),
            body: sealed,
        }
    }

    fn relay(&mut self, request: &OuterRequest) -> OuterResponse {
        if let Some(code) = self.refuse_relay {
            return problem(code);
        }
        let (name, id) = &request.headers[0];
        assert_eq!(*name, IDEMPOTENCY_HEADER);
        let id: RequestId = id.parse().unwrap();
        let relay: Relay = serde_json::from_slice(&request.body).unwrap();
        let entry = self.relayed.entry(id).or_insert((relay.clone(), 0));
        assert_eq!(entry.0, relay, "one id, two requests");
        self.transaction(id)
    }

    fn transaction(&mut self, id: RequestId) -> OuterResponse {
        let Some((relay, looks)) = self.relayed.get_mut(&id) else {
            return problem(Code::TransactionUnknown);
        };
        *looks += 1;
        let mined = *looks > self.looks_until_mined;
        answer(&Relayed {
            id,
            chain_id: relay.chain_id,
            hash: B256::repeat_byte(9),
            state: if mined {
                self.outcome
            } else {
                RelayState::Sent
            },
            block: mined.then_some(12),
            gas_used: None,
            deployed: true,
        })
    }
}
