//! What the wallet's extensions read: sessions, recovery trees, passkeys, the key machine's word; and
//! the payload as contracts pass it on.

use keyfold_wallet::Encoding;
use keyfold_wallet::checkpointer::RootStatement;
use keyfold_wallet::passkey::PasskeySignature;
use keyfold_wallet::payload::{abi_decode, abi_encode};
use keyfold_wallet::recovery::RecoveryTree;
use keyfold_wallet::session::{Attestation, SessionSignature, SessionTopology};

use crate::reached;
use crate::wallet::WALLET;

const ENCODINGS: [Encoding; 2] = [Encoding::Shortest, Encoding::Npm];

/// A tree of sessions that is read has a root, and keeps it however it is written.
pub fn session(data: &[u8]) {
    let Ok(tree) = SessionTopology::decode(data) else {
        return;
    };
    let root = tree.hash().expect("what is read has a root");
    assert_eq!(tree.identity_signers().len(), 1);
    for encoding in ENCODINGS {
        let written = tree.encode(encoding).expect("it was written");
        let again = SessionTopology::decode(&written).expect("just written");
        assert_eq!(again.hash(), Ok(root));
        assert_eq!(again.session_signers(), tree.session_signers());
        assert_eq!(again.blacklist(), tree.blacklist());
    }
    reached();
}

/// The first byte says how many calls there are. A session signature that is read is written so
/// that the same is read again; an attestation has one encoding.
pub fn session_signature(data: &[u8]) {
    if let Ok(attestation) = Attestation::unpack(data) {
        let packed = attestation.pack(Encoding::Shortest);
        assert_eq!(packed.as_deref(), Some(data));
    }
    let Some((calls, data)) = data.split_first() else {
        return;
    };
    let calls = usize::from(calls % 8);
    let Ok(signature) = SessionSignature::decode(data, calls) else {
        return;
    };
    assert_eq!(signature.calls.len(), calls);
    let root = signature.topology.hash();
    let written = signature
        .encode(Encoding::Shortest)
        .expect("it was written");
    let again = SessionSignature::decode(&written, calls).expect("just written");
    assert_eq!(again.topology.hash(), root);
    assert_eq!(again.calls, signature.calls);
    assert_eq!(again.attestations, signature.attestations);
    reached();
}

/// A tree of recovery signers that is read has signers with an address, and is written as the
/// same tree.
pub fn recovery(data: &[u8]) {
    let Ok(tree) = RecoveryTree::decode(data) else {
        return;
    };
    let written = tree.encode(Encoding::Npm).expect("it was written");
    assert!(written.len() <= data.len());
    assert_eq!(RecoveryTree::decode(&written).as_ref(), Ok(&tree));
    for leaf in tree.leaves() {
        assert!(!leaf.signer.is_zero());
        let trimmed = tree.trimmed(&leaf.signer).expect("its own signer");
        assert_eq!(trimmed.hash(), tree.hash());
    }
    reached();
}

/// A passkey's signature that is read is written so that the same is read again. Not as the npm
/// package writes it, which counts the client data in another unit than bytes.
pub fn passkey(data: &[u8]) {
    let Ok(signature) = PasskeySignature::decode(data) else {
        return;
    };
    let written = signature
        .encode(Encoding::Shortest)
        .expect("it was written");
    assert!(written.len() <= data.len());
    assert_eq!(PasskeySignature::decode(&written).as_ref(), Ok(&signature));
    reached();
}

/// A payload that is read from the contracts' form is written so that the same is read again.
pub fn payload_abi(data: &[u8]) {
    let Ok((payload, every_chain)) = abi_decode(data) else {
        return;
    };
    let written = abi_encode(&payload, every_chain);
    let again = abi_decode(&written).expect("just written");
    assert_eq!(again, (payload, every_chain));
    reached();
}

/// The key machine's word has one encoding.
pub fn proof(data: &[u8]) {
    if let Ok((statement, signature)) = RootStatement::from_proof(WALLET, data) {
        reached();
        let written = statement.to_proof(&signature).expect("it was written");
        assert_eq!(&written[..], data);
    }
}
