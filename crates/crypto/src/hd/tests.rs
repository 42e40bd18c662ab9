use super::*;
use crate::mnemonic::Mnemonic;

fn steps(path: &str) -> Vec<Step> {
    path.split('/')
        .skip(1)
        .map(|step| match step.strip_suffix('\'') {
            Some(index) => Step::Hardened(index.parse().unwrap()),
            None => Step::Normal(step.parse().unwrap()),
        })
        .collect()
}

#[test]
fn bip_32_vectors() {
    let mut count = 0;
    for line in include_str!("bip32_vectors.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let [seed, path, xprv] = line.split('|').collect::<Vec<_>>().try_into().unwrap();
        let seed = hex::decode(seed).unwrap();
        let key = derive_extended(&seed, &steps(path)).unwrap();
        assert_eq!(*key.to_string(bip32::Prefix::XPRV), xprv, "{path}");
        if let Some(seed) = Secret::<64>::from_slice(&seed) {
            let derived = derive(&seed, &steps(path)).unwrap();
            derived
                .to_secret()
                .expose(|bytes| assert_eq!(*bytes, key.to_bytes()));
        }
        count += 1;
    }
    assert_eq!(count, 17);
}

#[test]
fn ethereum_accounts_of_the_development_mnemonic() {
    // The accounts that anvil and hardhat print when they start.
    let mnemonic =
        Mnemonic::parse("test test test test test test test test test test test junk").unwrap();
    let seed = mnemonic.to_seed("").unwrap();
    for (index, address) in [
        (0, "f39fd6e51aad88f6f4ce6ab8827279cfffb92266"),
        (1, "70997970c51812dc3a010c7d01b50e0d17dc79c8"),
        (2, "3c44cdddb6a900fa2b585dd299e03d12fa4293bc"),
    ] {
        let key = derive_ethereum(&seed, index).unwrap();
        assert_eq!(hex::encode(key.address()), address);
    }
    derive_ethereum(&seed, 0)
        .unwrap()
        .to_secret()
        .expose(|bytes| {
            assert_eq!(
                hex::encode(bytes),
                "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
            );
        });
}

#[test]
fn indices_and_depth_are_bounded() {
    let seed = Secret::from_array([1; 64]);
    assert!(derive_ethereum(&seed, MAX_INDEX).is_ok());
    assert_eq!(
        derive_ethereum(&seed, MAX_INDEX + 1).unwrap_err(),
        DeriveError::Index
    );
    assert_eq!(
        derive_ethereum(&seed, u32::MAX).unwrap_err(),
        DeriveError::Index
    );
    assert!(derive(&seed, &[Step::Normal(0); MAX_DEPTH]).is_ok());
    assert_eq!(
        derive(&seed, &[Step::Normal(0); MAX_DEPTH + 1]).unwrap_err(),
        DeriveError::Depth
    );
}
