//! Calldata of the contracts' entry points, and the ERC-6492 wrapper.
//!
//! Written by hand: the handful of shapes needed is smaller than a code generator's output.

use alloy_primitives::{Address, B256, Bytes, U256};

use crate::address::Context;
use crate::bytes::Reader;
use crate::payload::{Payload, abi_encode};

/// Selector of `deploy(address,bytes32)`.
pub const DEPLOY: [u8; 4] = [0x32, 0xc0, 0x2a, 0x14];
/// Selector of `execute(bytes,bytes)`.
pub const EXECUTE: [u8; 4] = [0x1f, 0x6a, 0x1e, 0xb9];
/// Selector of `selfExecute(bytes)`.
pub const SELF_EXECUTE: [u8; 4] = [0x6e, 0xa4, 0x45, 0x77];
/// Selector of `updateImageHash(bytes32)`.
pub const UPDATE_IMAGE_HASH: [u8; 4] = [0x29, 0x56, 0x14, 0x26];
/// Selector of `imageHash()`.
pub const IMAGE_HASH: [u8; 4] = [0x51, 0x60, 0x5d, 0x80];
/// Selector of `readNonce(uint256)`.
pub const READ_NONCE: [u8; 4] = [0x8c, 0x3f, 0x55, 0x63];
/// Selector and magic value of ERC-1271 `isValidSignature(bytes32,bytes)`.
pub const IS_VALID_SIGNATURE: [u8; 4] = [0x16, 0x26, 0xba, 0x7e];
/// Selector of the recovery contract's `queuePayload(address,address,Payload,bytes)`.
pub const QUEUE_PAYLOAD: [u8; 4] = [0xb0, 0x5f, 0x87, 0xdb];
/// Selector of the checkpointer's `distrust(address,bytes)`.
pub const DISTRUST: [u8; 4] = [0x4f, 0x7d, 0xcf, 0xab];
/// Selector of the checkpointer's `distrustByRecovery(address,address,address,bytes,bytes)`.
pub const DISTRUST_BY_RECOVERY: [u8; 4] = [0x15, 0x38, 0x6b, 0x4f];
/// The 32 bytes that end an ERC-6492 signature.
pub const ERC6492_SUFFIX: B256 = B256::new([
    0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92,
    0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92,
]);

/// One argument of a call, as the ABI lays it out.
enum Argument<'a> {
    Word(B256),
    Bytes(&'a [u8]),
    /// What another encoder laid out, a multiple of 32 bytes long.
    Encoded(&'a [u8]),
}

fn encode(prefix: &[u8], arguments: &[Argument<'_>]) -> Bytes {
    let mut out = prefix.to_vec();
    let mut tail = Vec::new();
    for argument in arguments {
        let offset = U256::from(arguments.len() * 32 + tail.len()).to_be_bytes::<32>();
        match argument {
            Argument::Word(word) => out.extend_from_slice(word.as_slice()),
            Argument::Encoded(bytes) => {
                out.extend_from_slice(&offset);
                tail.extend_from_slice(bytes);
            }
            Argument::Bytes(bytes) => {
                out.extend_from_slice(&offset);
                tail.extend_from_slice(&U256::from(bytes.len()).to_be_bytes::<32>());
                tail.extend_from_slice(bytes);
                tail.resize(tail.len().next_multiple_of(32), 0);
            }
        }
    }
    out.append(&mut tail);
    out.into()
}

/// Encodes the factory's `deploy(mainModule, salt)`, the salt being the image hash.
#[must_use]
pub fn deploy(stage1: &Address, image_hash: &B256) -> Bytes {
    encode(
        &DEPLOY,
        &[
            Argument::Word(stage1.into_word()),
            Argument::Word(*image_hash),
        ],
    )
}

/// Encodes the wallet's `execute(packed, signature)`.
#[must_use]
pub fn execute(packed: &[u8], signature: &[u8]) -> Bytes {
    encode(
        &EXECUTE,
        &[Argument::Bytes(packed), Argument::Bytes(signature)],
    )
}

/// Encodes the wallet's `selfExecute(packed)`.
#[must_use]
pub fn self_execute(packed: &[u8]) -> Bytes {
    encode(&SELF_EXECUTE, &[Argument::Bytes(packed)])
}

/// Encodes the wallet's `updateImageHash(imageHash)`.
#[must_use]
pub fn update_image_hash(image_hash: &B256) -> Bytes {
    encode(&UPDATE_IMAGE_HASH, &[Argument::Word(*image_hash)])
}

/// Encodes the wallet's `readNonce(space)`.
#[must_use]
pub fn read_nonce(space: alloy_primitives::aliases::U160) -> Bytes {
    encode(&READ_NONCE, &[Argument::Word(U256::from(space).into())])
}

/// Encodes ERC-1271's `isValidSignature(hash, signature)`.
#[must_use]
pub fn is_valid_signature(hash: &B256, signature: &[u8]) -> Bytes {
    encode(
        &IS_VALID_SIGNATURE,
        &[Argument::Word(*hash), Argument::Bytes(signature)],
    )
}

/// Encodes the recovery contract's `queuePayload(wallet, signer, payload, signature)`.
///
/// The signature is the recovery signer's, over [`Payload::recovery_hash`], or empty where the
/// signer is a contract that says so itself.
#[must_use]
pub fn queue_payload(
    wallet: &Address,
    signer: &Address,
    payload: &Payload,
    signature: &[u8],
) -> Bytes {
    let structure = abi_encode(payload, false);
    encode(
        &QUEUE_PAYLOAD,
        &[
            Argument::Word(wallet.into_word()),
            Argument::Word(signer.into_word()),
            // Without the offset that leads to it: here it has another.
            Argument::Encoded(structure.get(32..).unwrap_or_default()),
            Argument::Bytes(signature),
        ],
    )
}

/// Encodes the checkpointer's `distrust(wallet, signature)`: the wallet's signature, of any part
/// of its signers, over [`distrust_hash`](crate::checkpointer::distrust_hash) as a digest.
#[must_use]
pub fn distrust(wallet: &Address, signature: &[u8]) -> Bytes {
    encode(
        &DISTRUST,
        &[
            Argument::Word(wallet.into_word()),
            Argument::Bytes(signature),
        ],
    )
}

/// Encodes the checkpointer's `distrustByRecovery(wallet, recovery, signer, proof, signature)`.
///
/// The proof is the wallet's signature that shows the recovery leaf; the signature is the recovery
/// signer's over [`distrust_hash`](crate::checkpointer::distrust_hash), empty if it is the sender.
#[must_use]
pub fn distrust_by_recovery(
    wallet: &Address,
    recovery: &Address,
    signer: &Address,
    proof: &[u8],
    signature: &[u8],
) -> Bytes {
    encode(
        &DISTRUST_BY_RECOVERY,
        &[
            Argument::Word(wallet.into_word()),
            Argument::Word(recovery.into_word()),
            Argument::Word(signer.into_word()),
            Argument::Bytes(proof),
            Argument::Bytes(signature),
        ],
    )
}

/// Wraps a signature of a wallet that is not deployed yet (ERC-6492).
///
/// Understood by verifiers outside the chain and by verifying contracts, never by the wallet.
#[must_use]
pub fn erc6492_wrap(context: &Context, image_hash: &B256, signature: &[u8]) -> Bytes {
    let deploy = deploy(&context.stage1, image_hash);
    let arguments = [
        Argument::Word(context.factory.into_word()),
        Argument::Bytes(&deploy),
        Argument::Bytes(signature),
    ];
    let mut out = encode(&[], &arguments).to_vec();
    out.extend_from_slice(ERC6492_SUFFIX.as_slice());
    out.into()
}

/// The parts of an ERC-6492 signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erc6492 {
    /// Contract that deploys the wallet.
    pub factory: Address,
    /// What to call it with.
    pub deploy_data: Bytes,
    /// The signature for the wallet once it is there.
    pub signature: Bytes,
}

/// Takes an ERC-6492 signature apart. `None` if it is not one, or is malformed.
///
/// # Security
/// For untrusted bytes. The factory and its calldata are the sender's choice: check them against
/// a [`Context`] before you call anything.
#[must_use]
pub fn erc6492_unwrap(bytes: &[u8]) -> Option<Erc6492> {
    let body = bytes.strip_suffix(ERC6492_SUFFIX.as_slice())?;
    let mut head = Reader::new(body);
    let factory = head.hash()?;
    if factory.iter().take(12).any(|byte| *byte != 0) {
        return None;
    }
    let deploy_data = dynamic(body, &head.hash()?)?;
    let signature = dynamic(body, &head.hash()?)?;
    Some(Erc6492 {
        factory: Address::from_word(factory),
        deploy_data,
        signature,
    })
}

/// Encodes the creation of a `SignatureCheck`, given its creation code: what an `eth_call` without
/// recipient runs to tell whether a contract accepts a signature, plain (ERC-1271) or with its
/// deployment around it (ERC-6492). `None` if it ends like the latter and is malformed.
///
/// # Security
/// For untrusted signatures. The deployment is the sender's choice: a call that keeps nothing may
/// make it, a transaction must not.
#[must_use]
pub fn signature_check(
    code: &[u8],
    signer: &Address,
    hash: &B256,
    signature: &[u8],
) -> Option<Bytes> {
    let parts = if signature.ends_with(ERC6492_SUFFIX.as_slice()) {
        erc6492_unwrap(signature)?
    } else {
        Erc6492 {
            factory: Address::ZERO,
            deploy_data: Bytes::new(),
            signature: Bytes::copy_from_slice(signature),
        }
    };
    Some(encode(
        code,
        &[
            Argument::Word(signer.into_word()),
            Argument::Word(*hash),
            Argument::Word(parts.factory.into_word()),
            Argument::Bytes(&parts.deploy_data),
            Argument::Bytes(&parts.signature),
        ],
    ))
}

fn dynamic(body: &[u8], offset: &B256) -> Option<Bytes> {
    let offset = usize::try_from(U256::from_be_bytes(offset.0)).ok()?;
    let mut reader = Reader::new(body.get(offset..)?);
    let length = usize::try_from(U256::from_be_bytes(reader.hash()?.0)).ok()?;
    reader.take(length).map(Bytes::copy_from_slice)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::aliases::U160;
    use alloy_sol_types::{SolCall as _, sol};

    use super::*;
    use crate::Call;

    sol! {
        struct TheirCall {
            address to;
            uint256 value;
            bytes data;
            uint256 gasLimit;
            bool delegateCall;
            bool onlyFallback;
            uint256 behaviorOnError;
        }
        struct TheirPayload {
            uint8 kind;
            bool noChainId;
            TheirCall[] calls;
            uint256 space;
            uint256 nonce;
            bytes message;
            bytes32 imageHash;
            bytes32 digest;
            address[] parentWallets;
        }
        function queuePayload(address wallet, address signer, TheirPayload payload, bytes signature);
        function distrust(address wallet, bytes signature);
        function distrustByRecovery(address wallet, address recovery, address signer, bytes proof, bytes signature);
    }

    const WALLET: Address = Address::repeat_byte(1);
    const SIGNER: Address = Address::repeat_byte(2);
    const RECOVERY: Address = Address::repeat_byte(3);

    #[test]
    fn a_check_of_a_signature_is_what_another_implementation_of_the_abi_writes() {
        use alloy_sol_types::SolValue as _;
        let (hash, factory) = (B256::repeat_byte(7), Address::repeat_byte(8));
        let (make, inner) = (Bytes::from(vec![9; 40]), Bytes::from(vec![10; 65]));
        let check = |signature: &[u8]| signature_check(b"code", &SIGNER, &hash, signature);
        let expected = |factory: Address, make: &Bytes| {
            let arguments =
                (SIGNER, hash, factory, make.clone(), inner.clone()).abi_encode_params();
            Bytes::from([&b"code"[..], &arguments].concat())
        };
        assert_eq!(check(&inner), Some(expected(Address::ZERO, &Bytes::new())));
        let body = (factory, make.clone(), inner.clone()).abi_encode_params();
        let wrapped = [&body[..], ERC6492_SUFFIX.as_slice()].concat();
        assert_eq!(check(&wrapped), Some(expected(factory, &make)));
        assert_eq!(check(&wrapped[1..]), None);
        assert_eq!(check(ERC6492_SUFFIX.as_slice()), None);
    }

    #[test]
    fn calls_of_extensions_are_what_another_implementation_of_the_abi_writes() {
        let call = Call::new(RECOVERY, U256::from(5), vec![0xaa; 33]);
        let payload = Payload::calls(U160::from(6), 7, vec![call.clone()]);
        for signature in [Bytes::new(), vec![0xbb; 65].into(), vec![0xbb; 64].into()] {
            let theirs = queuePayloadCall {
                wallet: WALLET,
                signer: SIGNER,
                payload: TheirPayload {
                    kind: 0,
                    noChainId: false,
                    calls: vec![TheirCall {
                        to: call.to,
                        value: call.value,
                        data: call.data.clone(),
                        gasLimit: U256::ZERO,
                        delegateCall: false,
                        onlyFallback: false,
                        behaviorOnError: U256::from(1),
                    }],
                    space: U256::from(6),
                    nonce: U256::from(7),
                    message: Bytes::new(),
                    imageHash: B256::ZERO,
                    digest: B256::ZERO,
                    parentWallets: Vec::new(),
                },
                signature: signature.clone(),
            };
            assert_eq!(
                queue_payload(&WALLET, &SIGNER, &payload, &signature),
                theirs.abi_encode()
            );
            let theirs = distrustCall {
                wallet: WALLET,
                signature: signature.clone(),
            };
            assert_eq!(distrust(&WALLET, &signature), theirs.abi_encode());
            let theirs = distrustByRecoveryCall {
                wallet: WALLET,
                recovery: RECOVERY,
                signer: SIGNER,
                proof: vec![0xcc; 40].into(),
                signature: signature.clone(),
            };
            assert_eq!(
                distrust_by_recovery(&WALLET, &RECOVERY, &SIGNER, &[0xcc; 40], &signature),
                theirs.abi_encode()
            );
        }
    }
}
