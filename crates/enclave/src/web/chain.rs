//! Questions to chains: whether a contract accepts a signature, whose a Farcaster account is.
//!
//! A node is somebody's word. A project that names several believes what all of them say, and
//! nothing where one is silent or says otherwise.

use std::sync::{Arc, OnceLock};

use alloy_primitives::{Address, B256, Bytes, U256, address, hex};
use futures_util::future::{join, join_all};
use keyfold_identity::farcaster::{RegistryAnswer, RegistryQuestion};
use keyfold_identity::oidc::json;
use keyfold_identity::oidc::url::HttpsUrl;
use keyfold_identity::siwe::{ContractAnswer, ContractQuestion};
use keyfold_wallet::abi;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::platform::Platform;
use crate::web::{Ask, ask};

/// Most nodes of one chain that are asked.
pub const MAX_NODES: usize = 4;
/// Most bytes of an answer; a longer one has no place in any question here.
const MAX_ANSWER_LEN: usize = 8 * 1024;
/// Who asks, as far as contracts can see: 20 letters, nobody's key. Not address zero, which some
/// contracts take for a rehearsal and are content with any signature.
const ASKER: Address = Address::new(*b"keyfold-asks-a-chain");

/// What the contracts' build committed.
const SIGNATURE_CHECK: &str = include_str!("../../../../contracts/artifacts/SignatureCheck.json");

/// OP Mainnet, where Farcaster's registries are.
const FARCASTER_CHAIN: u64 = 10;
const ID_REGISTRY: Address = address!("00000000Fc6c5F01Fc30151999387Bb99A9f489b");
const KEY_REGISTRY: Address = address!("00000000Fc1237824fb747aBDE0FF18990E59b7e");
/// Selector of `custodyOf(uint256)`.
const CUSTODY_OF: [u8; 4] = [0x65, 0x26, 0x9e, 0x47];
/// Selector of `keyDataOf(uint256,bytes)`.
const KEY_DATA_OF: [u8; 4] = [0xac, 0x34, 0xcc, 0x5a];
/// State and type of a key that may sign in (FIP-11).
const KEY_ADDED: u64 = 1;
const KEY_TYPE_AUTH_ADDRESS: u64 = 2;

/// A node of a chain, which speaks JSON-RPC.
#[derive(Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it is. May have a secret in its path.
    pub url: HttpsUrl,
    /// As [`Roots`](crate::web::Roots).
    pub roots_pem: Option<Arc<str>>,
}

impl core::fmt::Debug for Node {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Node({})", self.url.host())
    }
}

/// Asks a chain, by its nodes, whether a contract accepts a signature at the latest block: by
/// ERC-1271, or ERC-6492 where it is not deployed yet.
///
/// [`ContractAnswer::Unavailable`] unless all nodes say the same, and for none or more than
/// [`MAX_NODES`].
///
/// # Security
///
/// The node has the last word: a dishonest one lets its friends in. Contract, deployment and
/// signature are the asker's, and run at the node alone, in a call that keeps nothing.
pub async fn check_contract(
    platform: &impl Platform,
    nodes: &[Node],
    question: &ContractQuestion,
) -> ContractAnswer {
    if nodes.len() > MAX_NODES {
        return ContractAnswer::Unavailable;
    }
    let signer = Address::new(*question.address.as_bytes());
    let hash = B256::new(question.hash);
    let Some(code) = signature_check_code() else {
        tracing::error!("the code that checks signatures is not readable");
        return ContractAnswer::Unavailable;
    };
    let Some(data) = abi::signature_check(code, &signer, &hash, &question.signature) else {
        return ContractAnswer::Invalid;
    };
    let answers = nodes.iter().map(async |node| {
        let said = eth_call(platform, node, question.chain_id, None, &data).await?;
        match *<&[u8; 32]>::try_from(said.as_ref()).ok()? {
            word if U256::from_be_bytes(word) == U256::ONE => Some(ContractAnswer::Valid),
            word if U256::from_be_bytes(word).is_zero() => Some(ContractAnswer::Invalid),
            _ => None,
        }
    });
    agreed(&join_all(answers).await).unwrap_or(ContractAnswer::Unavailable)
}

/// Asks Farcaster's registries, by nodes of OP Mainnet, whether an address may sign in for an
/// account at the latest block.
///
/// [`RegistryAnswer::Unavailable`] as for [`check_contract`].
pub async fn look_up_farcaster(
    platform: &impl Platform,
    nodes: &[Node],
    question: &RegistryQuestion,
) -> RegistryAnswer {
    if nodes.len() > MAX_NODES {
        return RegistryAnswer::Unavailable;
    }
    let asked = Address::new(*question.address.as_bytes());
    if asked.is_zero() {
        // Custody of what nobody has.
        return RegistryAnswer::No;
    }
    let fid = U256::from(question.fid).to_be_bytes::<32>();
    let custody_of = [&CUSTODY_OF[..], &fid].concat();
    // The key is the address in a word: at 64, 32 long.
    let [offset, length] = [64, 32].map(|n: u64| U256::from(n).to_be_bytes::<32>());
    let key = asked.into_word();
    let key_data_of = [&KEY_DATA_OF[..], &fid, &offset, &length, key.as_slice()].concat();
    let answers = nodes.iter().map(async |node| {
        let call = async |to, data| eth_call(platform, node, FARCASTER_CHAIN, Some(to), data).await;
        let (custody, key) = join(
            call(ID_REGISTRY, &custody_of),
            call(KEY_REGISTRY, &key_data_of),
        )
        .await;
        let (custody, key) = (words::<1>(&custody?)?, words::<2>(&key?)?);
        let approved = [KEY_ADDED, KEY_TYPE_AUTH_ADDRESS].map(U256::from);
        Some(match (custody, key) {
            ([custody], _) if custody == U256::from_be_bytes(asked.into_word().0) => {
                RegistryAnswer::Custody
            }
            (_, key) if key == approved => RegistryAnswer::AuthAddress,
            _ => RegistryAnswer::No,
        })
    });
    agreed(&join_all(answers).await).unwrap_or(RegistryAnswer::Unavailable)
}

/// What all say, if there is anybody.
fn agreed<T: PartialEq + Copy>(answers: &[Option<T>]) -> Option<T> {
    let first = (*answers.first()?)?;
    let all = answers.iter().all(|answer| *answer == Some(first));
    all.then_some(first)
}

/// Reads exactly so many words.
fn words<const N: usize>(bytes: &[u8]) -> Option<[U256; N]> {
    let (words, []) = bytes.as_chunks::<32>() else {
        return None;
    };
    let words: &[[u8; 32]; N] = words.try_into().ok()?;
    Some(words.map(U256::from_be_bytes))
}

fn signature_check_code() -> Option<&'static [u8]> {
    #[derive(Deserialize)]
    struct Artifact {
        bytecode: String,
    }
    static CODE: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    let code = CODE.get_or_init(|| {
        let artifact: Artifact = serde_json::from_str(SIGNATURE_CHECK).ok()?;
        hex::decode(artifact.bytecode).ok()
    });
    code.as_deref()
}

/// Calls a contract, or runs creation code where `to` is `None`, at the latest block, if the node
/// is of that chain.
async fn eth_call(
    platform: &impl Platform,
    node: &Node,
    chain_id: u64,
    to: Option<Address>,
    data: &[u8],
) -> Option<Bytes> {
    let mut call = json!({ "from": ASKER, "data": hex::encode_prefixed(data) });
    if let (Some(to), Some(call)) = (to, call.as_object_mut()) {
        call.insert("to".to_owned(), json!(to));
    }
    let (of_chain, said) = join(
        rpc(platform, node, "eth_chainId", json!([])),
        rpc(platform, node, "eth_call", json!([call, "latest"])),
    )
    .await;
    let of_chain = of_chain?
        .strip_prefix("0x")
        .map(|digits| u64::from_str_radix(digits, 16))?;
    if of_chain != Ok(chain_id) {
        tracing::warn!(
            host = node.url.host(),
            chain_id,
            "a node is of another chain"
        );
        return None;
    }
    said?.parse().ok()
}

/// Makes one request of JSON-RPC 2.0. `None` for anything but a result that is a text.
async fn rpc(
    platform: &impl Platform,
    node: &Node,
    method: &'static str,
    params: Value,
) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        id: u64,
        result: String,
    }
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let post = Ask {
        method: "POST",
        headers: vec![("content-type", "application/json".to_owned())],
        body: body.to_string().into_bytes(),
        max_response: MAX_ANSWER_LEN,
    };
    let response = ask(platform, &node.url, node.roots_pem.as_ref(), post).await;
    let response = response.ok().filter(|response| response.status == 200)?;
    let answer: Answer = json::from_slice(&response.body, MAX_ANSWER_LEN).ok()?;
    (answer.id == 1).then_some(answer.result)
}
