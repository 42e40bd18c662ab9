//! What the wallet's contracts read: payloads, signatures, configurations.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, U256, keccak256};
use keyfold_wallet::abi::{erc6492_unwrap, erc6492_wrap};
use keyfold_wallet::payload::{pack, unpack};
use keyfold_wallet::signature::{
    Chunk, Decoded, Header, Item, Parts, RecoverError, Request, SignerData, decode, encode, recover,
};
use keyfold_wallet::{
    Config, Context, EcdsaSignature, Encoding, Payload, PayloadBody, Recover, Recovered,
    SignaturePart, Topology, ValidConfig,
};

use crate::reached;

pub(crate) const WALLET: Address = Address::repeat_byte(0x77);

/// Calls that are read are the calls that were packed, whichever valid way they are packed; no
/// packing is shorter than the shortest.
pub fn payload(data: &[u8]) {
    let Ok(payload) = unpack(data, &WALLET) else {
        return;
    };
    let shortest = pack(&payload, Some(&WALLET), Encoding::Shortest).expect("it was packed");
    assert!(shortest.len() <= data.len());
    for (wallet, encoding) in [
        (Some(&WALLET), Encoding::Npm),
        (None, Encoding::Shortest),
        (None, Encoding::Npm),
    ] {
        let packed = pack(&payload, wallet, encoding).expect("it was packed");
        assert_eq!(unpack(&packed, &WALLET).as_ref(), Ok(&payload));
    }
    reached();
    let again = unpack(&shortest, &WALLET).expect("just packed");
    assert_eq!(again, payload);
    assert_eq!(again.op_hash(&WALLET, 1), payload.op_hash(&WALLET, 1));
    assert_ne!(payload.op_hash(&WALLET, 1), payload.op_hash(&WALLET, 2));
}

/// Answers whatever is asked, by a fixed rule, so that every tree can be folded.
struct Agreeable;

impl Recover for Agreeable {
    fn ecrecover(&self, _: &B256, signature: &EcdsaSignature) -> Option<Address> {
        Some(signer_of(signature))
    }

    fn erc1271(&self, _: &Address, _: &B256, _: &[u8]) -> Option<bool> {
        Some(true)
    }

    fn sapient(&self, _: &Address, _: &Request<'_>, data: &[u8]) -> Option<B256> {
        Some(keccak256(data))
    }

    fn sapient_compact(&self, _: &Address, _: &B256, data: &[u8]) -> Option<B256> {
        Some(keccak256(data))
    }

    fn snapshot(&self, _: &Address, _: &[u8]) -> Option<(B256, U256)> {
        Some((B256::ZERO, U256::ZERO))
    }
}

/// The address that [`Agreeable`] reads out of a signature: the end of `r`. Never zero.
fn signer_of(signature: &EcdsaSignature) -> Address {
    let mut address = Address::from_word(*signature.r());
    if address.is_zero() {
        address = Address::repeat_byte(1);
    }
    address
}

fn request(payload: &Payload) -> Request<'_> {
    Request {
        payload,
        wallet: WALLET,
        chain_id: 1,
    }
}

/// The tree that items stand for, put together without the library's folding. `None` where it is
/// too deep for the recursion of a test.
fn topology(items: &[Item]) -> Option<Topology> {
    let mut tree: Option<Topology> = None;
    if items.len() > 200 {
        return None;
    }
    for item in items {
        let node = match item {
            Item::Signer { weight, data } => Topology::Signer {
                address: match data {
                    SignerData::Unsigned(address) | SignerData::Erc1271(address, _) => *address,
                    SignerData::EcdsaHash(signature) | SignerData::EthSign(signature) => {
                        signer_of(signature)
                    }
                },
                weight: *weight,
            },
            Item::Sapient {
                weight,
                address,
                data,
                ..
            } => Topology::Sapient {
                address: *address,
                weight: *weight,
                image_hash: keccak256(data),
            },
            Item::Node(hash) => Topology::Node(*hash),
            Item::Subdigest(digest) => Topology::Subdigest(*digest),
            Item::AnyAddressSubdigest(digest) => Topology::AnyAddressSubdigest(*digest),
            Item::Branch(items) => topology(items)?,
            Item::Nested {
                weight,
                threshold,
                items,
            } => Topology::Nested {
                tree: Box::new(topology(items)?),
                weight: *weight,
                threshold: *threshold,
            },
        };
        tree = Some(match tree {
            None => node,
            Some(left) => Topology::branch(left, node),
        });
    }
    tree
}

fn image_hash(chunk: &Chunk) -> Option<B256> {
    let config = Config {
        threshold: chunk.threshold,
        checkpoint: chunk.checkpoint,
        checkpointer: chunk.checkpointer,
        topology: topology(&chunk.items)?,
    };
    Some(config.image_hash())
}

/// A signature that is read belongs to the configuration that its tree stands for, and proves no
/// weight below its threshold. ECDSA signatures have one form in each of their two encodings.
pub fn signature(data: &[u8]) {
    ecdsa(data);
    let Ok(decoded) = decode(data) else {
        return;
    };
    let payload = Payload::from(PayloadBody::Digest(B256::repeat_byte(9)));
    let recovered = recover(&request(&payload), &decoded, &Agreeable);
    match &decoded {
        Decoded::Static { .. } => assert_eq!(recovered, Err(RecoverError::Static)),
        Decoded::Single(chunk) => {
            check(&recovered);
            if let (Ok(recovered), Some(hash)) = (&recovered, image_hash(chunk)) {
                assert_eq!(recovered.image_hash, hash);
            }
            // Without a threshold, every tree is seen.
            let mut open = chunk.clone();
            open.threshold = 0;
            match recover(
                &request(&payload),
                &Decoded::Single(open.clone()),
                &Agreeable,
            ) {
                Ok(recovered) => {
                    if let Some(hash) = image_hash(&open) {
                        reached();
                        assert_eq!(recovered.image_hash, hash);
                    }
                }
                Err(error) => assert_eq!(error, RecoverError::WeightOverflow),
            }
        }
        Decoded::Chained {
            checkpointer,
            chunks,
        } => {
            check(&recovered);
            if let (Ok(recovered), Some(last)) = (&recovered, chunks.last()) {
                let mut last = last.clone();
                last.checkpointer = checkpointer.as_ref().map(|(address, _)| *address);
                assert_eq!(recovered.checkpoint, last.checkpoint);
                if let Some(hash) = image_hash(&last) {
                    assert_eq!(recovered.image_hash, hash);
                }
                let falling = chunks.windows(2).all(|w| w[0].checkpoint > w[1].checkpoint);
                assert!(falling);
            }
        }
    }
}

fn check(recovered: &Result<Recovered, RecoverError>) {
    if let Ok(recovered) = recovered {
        assert!(recovered.threshold > 0);
        assert!(recovered.weight >= U256::from(recovered.threshold));
    }
}

fn ecdsa(data: &[u8]) {
    if let Some(bytes) = data.first_chunk::<65>()
        && let Some(signature) = EcdsaSignature::from_rsv(bytes)
    {
        let written = signature.to_rsv();
        assert_eq!(written[..64], bytes[..64]);
        assert_eq!(EcdsaSignature::from_rsv(&written), Some(signature));
        assert_eq!(
            EcdsaSignature::from_compact(&signature.to_compact()),
            Some(signature)
        );
    }
    if let Some(bytes) = data.first_chunk::<64>()
        && let Some(signature) = EcdsaSignature::from_compact(bytes)
    {
        assert_eq!(&signature.to_compact(), bytes);
    }
}

/// A configuration that is read is written back to the same value. If it is valid, the signature
/// of all its signers is enough, and belongs to it.
pub fn config(data: &[u8]) {
    let Ok(config) = serde_json::from_slice::<Config>(data) else {
        return;
    };
    let json = serde_json::to_vec(&config).expect("JSON");
    let again: Config = serde_json::from_slice(&json).expect("our own JSON");
    assert_eq!(again, config);
    assert_eq!(again.image_hash(), config.image_hash());
    let Ok(valid) = ValidConfig::new(config) else {
        return;
    };
    let Some(parts) = everybody_signs(&valid.topology) else {
        return;
    };
    for encoding in [Encoding::Shortest, Encoding::Npm] {
        let header = Header {
            encoding,
            ..Header::default()
        };
        let bytes = encode(&valid, &parts, &header).expect("every part has a leaf");
        let decoded = decode(&bytes).expect("just encoded");
        let payload = Payload::from(PayloadBody::Message(b"message".to_vec().into()));
        let recovered = recover(&request(&payload), &decoded, &Everybody(&valid.topology))
            .expect("all signers together reach every threshold");
        reached();
        assert_eq!(recovered.image_hash, valid.image_hash());
        assert_eq!(recovered.checkpoint, valid.checkpoint);
        assert_eq!(recovered.threshold, valid.threshold);
    }
}

/// As [`Agreeable`], but sapient signers answer with the root that the tree expects.
struct Everybody<'a>(&'a Topology);

impl Recover for Everybody<'_> {
    fn ecrecover(&self, _: &B256, signature: &EcdsaSignature) -> Option<Address> {
        Some(signer_of(signature))
    }

    fn sapient(&self, signer: &Address, _: &Request<'_>, _: &[u8]) -> Option<B256> {
        root_of(self.0, signer)
    }

    fn snapshot(&self, _: &Address, _: &[u8]) -> Option<(B256, U256)> {
        Some((B256::ZERO, U256::ZERO))
    }
}

fn root_of(tree: &Topology, signer: &Address) -> Option<B256> {
    match tree {
        Topology::Sapient {
            address,
            image_hash,
            ..
        } => (address == signer).then_some(*image_hash),
        Topology::Nested { tree, .. } => root_of(tree, signer),
        Topology::Branch(left, right) => root_of(left, signer).or_else(|| root_of(right, signer)),
        _ => None,
    }
}

/// A part for each signer, whose `r` carries the address. `None` where one address stands for
/// signers of two kinds, or for two roots: one part cannot serve both.
fn everybody_signs(tree: &Topology) -> Option<Parts> {
    fn collect(tree: &Topology, parts: &mut Parts, sapient: &mut BTreeSet<Address>) -> Option<()> {
        match tree {
            Topology::Signer { address, .. } => {
                let one = B256::with_last_byte(1);
                let signature = EcdsaSignature::new(address.into_word(), one, false)?;
                let part = SignaturePart::EcdsaHash(signature);
                match parts.insert(*address, part.clone()) {
                    Some(before) if before != part => None,
                    _ => Some(()),
                }
            }
            Topology::Sapient { address, .. } => {
                let part = SignaturePart::Sapient(b"data".to_vec().into());
                (sapient.insert(*address) && parts.insert(*address, part).is_none()).then_some(())
            }
            Topology::Nested { tree, .. } => collect(tree, parts, sapient),
            Topology::Branch(left, right) => {
                collect(left, parts, sapient)?;
                collect(right, parts, sapient)
            }
            _ => Some(()),
        }
    }
    let mut parts = Parts::new();
    collect(tree, &mut parts, &mut BTreeSet::new())?;
    Some(parts)
}

/// What is unwrapped stands in the input; what is wrapped is unwrapped.
pub fn erc6492(data: &[u8]) {
    if let Some(parts) = erc6492_unwrap(data) {
        reached();
        for part in [&parts.deploy_data, &parts.signature] {
            assert!(part.is_empty() || data.windows(part.len()).any(|window| window == &part[..]));
        }
    }
    let context = Context::keyfold();
    let wrapped = erc6492_wrap(&context, &B256::repeat_byte(2), data);
    let parts = erc6492_unwrap(&wrapped).expect("just wrapped");
    assert_eq!(parts.factory, context.factory);
    assert_eq!(&parts.signature[..], data);
}
