//! The transparency log: notes, checkpoints, frontiers, proofs.

use keyfold_log::{
    Checkpoint, Ed25519Signer as _, Frontier, Hash, NoteKey, NoteSigner, NoteVerifier, SignedNote,
    consistency_proof, inclusion_proof, leaf_hash, verify_consistency, verify_inclusion,
};

use crate::reached;

const ORIGIN: &str = "holder-1.example/log";

pub(crate) fn signer() -> NoteSigner {
    NoteSigner::new(ORIGIN, NoteKey::from_seed(&[3; 32])).expect("a name")
}

fn verifier() -> NoteVerifier {
    signer().verifier().expect("a key")
}

/// The one checkpoint that the log's key ever signed, as far as unsigned input is concerned.
pub(crate) fn genuine_checkpoint() -> Checkpoint {
    Checkpoint::new(ORIGIN, 9, leaf_hash(b"root")).expect("a checkpoint")
}

/// A note verifies only with the text that was signed; a verifier key has one text.
pub fn note(data: &[u8]) {
    if let Ok(note) = SignedNote::parse(data)
        && let Ok(text) = note.verify(&verifier())
    {
        reached();
        assert_eq!(text, genuine_checkpoint().to_text());
        assert!(data.starts_with(text.as_bytes()));
    }
    if let Ok(checkpoint) = Checkpoint::open(data, ORIGIN, &verifier()) {
        assert_eq!(checkpoint, genuine_checkpoint());
    }
    if let Ok(text) = core::str::from_utf8(data)
        && let Ok(key) = NoteVerifier::parse(text)
    {
        assert_eq!(key.to_string(), text);
        assert_eq!(NoteVerifier::new(key.name(), &key.public_key()), Ok(key));
    }
}

/// Any text that can be signed comes back as it was; if it is a checkpoint, it has one text.
pub fn checkpoint(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    let Ok(signed) = signer().sign(text) else {
        return;
    };
    let note = SignedNote::parse(signed.as_bytes()).expect("just signed");
    assert_eq!(note.verify(&verifier()), Ok(text));
    let stranger = NoteKey::from_seed(&[4; 32]).public_key();
    let stranger = NoteVerifier::new(ORIGIN, &stranger).expect("a key");
    assert!(note.verify(&stranger).is_err());

    let origin = text.split('\n').next().unwrap_or_default();
    if let Ok(checkpoint) = Checkpoint::open(signed.as_bytes(), origin, &verifier()) {
        reached();
        assert_eq!(checkpoint.to_text(), text);
        assert_eq!(checkpoint.origin(), origin);
    }
}

/// A frontier that is read is written back as the same bytes, and grows.
pub fn frontier(data: &[u8]) {
    let Ok(mut frontier) = Frontier::from_bytes(data) else {
        return;
    };
    assert_eq!(frontier.to_bytes(), data);
    let size = frontier.size();
    let before = frontier.root();
    match frontier.append(leaf_hash(data)) {
        Err(_) => {
            assert_eq!(size, u64::MAX);
            assert_eq!(frontier.to_bytes(), data);
        }
        Ok(completed) => {
            reached();
            assert_eq!(frontier.size(), size + 1);
            assert_eq!(completed.len(), size.trailing_ones() as usize);
            assert_ne!(frontier.root(), before);
            let again = Frontier::from_bytes(&frontier.to_bytes());
            assert_eq!(again, Ok(frontier));
        }
    }
}

/// A proof is accepted if and only if it is the one that the builder makes.
///
/// The first four bytes choose the tree and what is to be proven, the rest alters the proof. The
/// same bytes are also taken as a proof about trees of any size.
pub fn proof(data: &[u8]) {
    let Some(([size, index, old, claimed], edits)) = data.split_first_chunk::<4>() else {
        return;
    };
    let leaves: Vec<Hash> = (0..=size % 40).map(|i| leaf_hash(&[i])).collect();
    let size = leaves.len() as u64;
    let (index, old) = (u64::from(*index) % size, u64::from(*old) % (size + 1));
    let root = root(&leaves);
    let leaf = leaves[index as usize];

    let genuine = inclusion_proof(&leaves[..], index, size).expect("within the tree");
    let altered = edit(&genuine, edits);
    // Another leaf at the place, or another place for the leaf, is no proof either.
    let place = u64::from(*claimed) % size;
    let accepted = verify_inclusion(&altered, place, size, &leaf, &root).is_ok();
    assert_eq!(accepted, altered == genuine && place == index);
    if accepted {
        reached();
    }

    let genuine = consistency_proof(&leaves[..], old, size).expect("within the tree");
    let altered = edit(&genuine, edits);
    let old_root = root_of(&leaves, old);
    let accepted = verify_consistency(&altered, old, &old_root, size, &root).is_ok();
    assert_eq!(accepted, altered == genuine);

    any_size(edits);
}

fn any_size(data: &[u8]) {
    let Some((numbers, rest)) = data.split_first_chunk::<16>() else {
        return;
    };
    let (a, b) = numbers.split_at(8);
    let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().expect("eight bytes"));
    let (a, b) = (number(a), number(b));
    let proof: Vec<Hash> = rest.chunks_exact(32).filter_map(Hash::from_slice).collect();
    // Nobody finds a proof that leads to these roots.
    let (leaf, root) = (leaf_hash(b"leaf"), leaf_hash(b"root"));
    assert!(verify_inclusion(&proof, a, b, &leaf, &root).is_err());
    assert!(verify_consistency(&proof, a, &leaf, b, &root).is_err());
}

fn root(leaves: &[Hash]) -> Hash {
    root_of(leaves, leaves.len() as u64)
}

fn root_of(leaves: &[Hash], size: u64) -> Hash {
    let mut frontier = Frontier::new();
    for leaf in leaves.iter().take(size as usize) {
        frontier.append(*leaf).expect("not full");
    }
    frontier.root()
}

/// Alters a proof: each pair of bytes is what to do, and where.
fn edit(proof: &[Hash], edits: &[u8]) -> Vec<Hash> {
    let mut proof = proof.to_vec();
    for pair in edits.chunks_exact(2).take(8) {
        let (what, place) = (pair[0], usize::from(pair[1]));
        let at = place % (proof.len() + 1);
        match (what % 4, proof.get_mut(at)) {
            (0, Some(hash)) => hash.0[usize::from(what >> 3)] ^= 1,
            (1, Some(_)) => drop(proof.remove(at)),
            (2, Some(hash)) => {
                let hash = *hash;
                proof.insert(at, hash);
            }
            (3, _) => proof.push(leaf_hash(&[what])),
            _ => {}
        }
    }
    proof
}
