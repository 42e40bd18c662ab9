use proptest::prelude::*;

use super::*;
use crate::frontier::Frontier;
use crate::hash::leaf_hash;

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect()
}

fn root_of(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::new();
    for leaf in leaves {
        frontier.append(*leaf).unwrap();
    }
    frontier.root()
}

/// The root as RFC 6962 section 2.1 defines it, without any of our short cuts.
fn root_by_definition(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let mut k = 1;
            while k * 2 < leaves.len() {
                k *= 2;
            }
            node_hash(
                &root_by_definition(&leaves[..k]),
                &root_by_definition(&leaves[k..]),
            )
        }
    }
}

#[test]
fn the_frontier_agrees_with_the_definition() {
    let all = leaves(130);
    for size in 0..=all.len() {
        assert_eq!(
            root_of(&all[..size]),
            root_by_definition(&all[..size]),
            "size {size}"
        );
    }
}

#[test]
fn every_inclusion_proof_up_to_size_66_verifies_and_only_for_its_place() {
    let all = leaves(66);
    for size in 1..=66u64 {
        let tree = &all[..size as usize];
        let root = root_of(tree);
        for index in 0..size {
            let proof = inclusion_proof(tree, index, size).unwrap();
            let leaf = &tree[index as usize];
            verify_inclusion(&proof, index, size, leaf, &root).unwrap();
            for other in 0..size {
                if other != index {
                    assert!(verify_inclusion(&proof, other, size, leaf, &root).is_err());
                }
            }
        }
    }
}

#[test]
fn every_consistency_proof_up_to_size_40_verifies() {
    let all = leaves(40);
    for new in 0..=40u64 {
        for old in 0..=new {
            let (old_root, new_root) =
                (root_of(&all[..old as usize]), root_of(&all[..new as usize]));
            let proof = consistency_proof(&all[..new as usize], old, new).unwrap();
            verify_consistency(&proof, old, &old_root, new, &new_root).unwrap();
        }
    }
}

// Published in transparency-dev/merkle (reference inclusion proofs) for its 8-leaf tree.
#[test]
fn a_published_inclusion_proof() {
    let inputs = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    let tree: Vec<Hash> = inputs
        .iter()
        .map(|x| leaf_hash(&hex::decode(x).unwrap()))
        .collect();
    let proof = inclusion_proof(&tree[..], 0, 8).unwrap();
    let shown: Vec<String> = proof.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ]
    );
}

#[test]
fn a_fork_has_no_consistency_proof_that_verifies() {
    let honest = leaves(20);
    let mut forked = honest.clone();
    forked[3] = leaf_hash(b"rewritten history");
    let (old_root, forged_root) = (root_of(&honest[..9]), root_of(&forked));
    for source in [&honest, &forked] {
        let proof = consistency_proof(&source[..], 9, 20).unwrap();
        assert!(verify_consistency(&proof, 9, &old_root, 20, &forged_root).is_err());
    }
}

#[test]
fn a_proof_from_outside_the_tree_is_refused() {
    let all = leaves(5);
    let root = root_of(&all);
    assert_eq!(
        inclusion_proof(&all[..], 5, 5),
        Err(ProofBuildError::OutOfRange)
    );
    assert_eq!(
        inclusion_proof(&all[..], 4, 6),
        Err(ProofBuildError::Read(MissingLeaf(5)))
    );
    assert_eq!(
        consistency_proof(&all[..], 6, 5),
        Err(ProofBuildError::OutOfRange)
    );
    assert_eq!(
        verify_inclusion(&[], 0, 0, &all[0], &root),
        Err(ProofError::OutOfRange)
    );
    assert_eq!(
        verify_consistency(&[], 2, &root, 1, &root),
        Err(ProofError::OutOfRange)
    );
    // A rollback dressed up as the start of time.
    assert_eq!(
        verify_consistency(&[], 0, &root, 5, &root),
        Err(ProofError::WrongRoot)
    );
}

#[test]
fn proofs_of_the_largest_sizes_neither_panic_nor_loop() {
    let hashes = vec![Hash([9; 32]); 70];
    for count in [0, 1, 63, 64, 65, 70] {
        for (index, size) in [(0, u64::MAX), (u64::MAX - 1, u64::MAX), (1 << 63, u64::MAX)] {
            assert!(
                verify_inclusion(&hashes[..count], index, size, &hashes[0], &hashes[1]).is_err()
            );
        }
        for (old, new) in [(1, u64::MAX), (1 << 63, u64::MAX), (u64::MAX - 1, u64::MAX)] {
            assert!(
                verify_consistency(&hashes[..count], old, &hashes[0], new, &hashes[1]).is_err()
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_flipped_bit_any_lost_or_added_hash_breaks_an_inclusion_proof(
        size in 1u64..200, at in any::<prop::sample::Index>(), victim in any::<prop::sample::Index>(),
        bit in 0usize..256,
    ) {
        let all = leaves(size);
        let root = root_of(&all);
        let index = at.index(size as usize) as u64;
        let leaf = all[index as usize];
        let proof = inclusion_proof(&all[..], index, size).unwrap();
        prop_assert!(proof.len() <= MAX_PROOF_HASHES);
        prop_assert!(verify_inclusion(&proof, index, size, &leaf, &root).is_ok());

        let flip = |hash: &Hash| { let mut h = *hash; h.0[bit / 8] ^= 1 << (bit % 8); h };
        prop_assert!(verify_inclusion(&proof, index, size, &flip(&leaf), &root).is_err());
        prop_assert!(verify_inclusion(&proof, index, size, &leaf, &flip(&root)).is_err());
        let longer = [&proof[..], &[root]].concat();
        prop_assert!(verify_inclusion(&longer, index, size, &leaf, &root).is_err());
        if !proof.is_empty() {
            let i = victim.index(proof.len());
            let mut changed = proof.clone();
            changed[i] = flip(&changed[i]);
            prop_assert!(verify_inclusion(&changed, index, size, &leaf, &root).is_err());
            let mut shorter = proof.clone();
            shorter.remove(i);
            prop_assert!(verify_inclusion(&shorter, index, size, &leaf, &root).is_err());
        }
    }

    #[test]
    fn any_flipped_bit_any_lost_or_added_hash_breaks_a_consistency_proof(
        new in 2u64..200, at in any::<prop::sample::Index>(), victim in any::<prop::sample::Index>(),
        bit in 0usize..256,
    ) {
        let all = leaves(new);
        let old = 1 + at.index(new as usize - 1) as u64;
        let (old_root, new_root) = (root_of(&all[..old as usize]), root_of(&all));
        let proof = consistency_proof(&all[..], old, new).unwrap();
        prop_assert!(verify_consistency(&proof, old, &old_root, new, &new_root).is_ok());

        let flip = |hash: &Hash| { let mut h = *hash; h.0[bit / 8] ^= 1 << (bit % 8); h };
        prop_assert!(verify_consistency(&proof, old, &flip(&old_root), new, &new_root).is_err());
        prop_assert!(verify_consistency(&proof, old, &old_root, new, &flip(&new_root)).is_err());
        let longer = [&proof[..], &[new_root]].concat();
        prop_assert!(verify_consistency(&longer, old, &old_root, new, &new_root).is_err());
        let i = victim.index(proof.len());
        let mut changed = proof.clone();
        changed[i] = flip(&changed[i]);
        prop_assert!(verify_consistency(&changed, old, &old_root, new, &new_root).is_err());
        let mut shorter = proof.clone();
        shorter.remove(i);
        prop_assert!(verify_consistency(&shorter, old, &old_root, new, &new_root).is_err());
    }
}
