use super::*;
use crate::testing::SeededRng;

const ABANDON: &str =
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

fn entropy(bytes: &[u8]) -> Entropy {
    Entropy::from_bytes(SecretBytes::from_slice(bytes)).unwrap()
}

#[test]
fn bip_39_vectors() {
    let mut count = 0;
    for line in include_str!("bip39_vectors.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let [hex, words, seed] = line.split('|').collect::<Vec<_>>().try_into().unwrap();
        let entropy = entropy(&hex::decode(hex).unwrap());
        let mnemonic = entropy.to_mnemonic().unwrap();
        mnemonic.expose(|phrase| assert_eq!(phrase, words));
        assert_eq!(Mnemonic::parse(words).unwrap().to_entropy(), entropy);
        let expected = Secret::from_slice(&hex::decode(seed).unwrap()).unwrap();
        assert_eq!(mnemonic.to_seed("TREZOR").unwrap(), expected);
        count += 1;
    }
    assert!(count >= 16);
}

#[test]
fn default_entropy_is_128_bits_and_follows_the_generator() {
    let first = Entropy::generate(&mut SeededRng::new(1));
    assert_eq!(first.as_secret().len(), 16);
    assert_eq!(first, Entropy::generate(&mut SeededRng::new(1)));
    assert_ne!(first, Entropy::generate(&mut SeededRng::new(2)));
    first
        .to_mnemonic()
        .unwrap()
        .expose(|words| assert_eq!(words.split(' ').count(), 12));
}

#[test]
fn other_sizes_of_entropy_are_refused() {
    for len in [0, 15, 17, 20, 24, 28, 31, 33, 64] {
        let bytes = SecretBytes::from_vec(vec![1; len]);
        assert_eq!(Entropy::from_bytes(bytes), Err(EntropyError), "{len}");
    }
}

#[test]
fn people_type_capitals_and_line_breaks() {
    let typed = format!("  {}\n", ABANDON.to_uppercase().replace(' ', " \t\n"));
    assert_eq!(
        Mnemonic::parse(&typed).unwrap().to_entropy(),
        entropy(&[0; 16])
    );
}

#[test]
fn bad_phrases_are_refused_for_their_reason() {
    let parse = |phrase: &str| Mnemonic::parse(phrase).map(|_| ()).unwrap_err();
    assert_eq!(parse(""), MnemonicError::WordCount);
    assert_eq!(parse("abandon"), MnemonicError::WordCount);
    assert_eq!(
        parse(&ABANDON.replace("about", "about about")),
        MnemonicError::WordCount
    );
    assert_eq!(
        parse(&ABANDON.replace("about", "abandon")),
        MnemonicError::Checksum
    );
    assert_eq!(
        parse(&ABANDON.replace("about", "abuot")),
        MnemonicError::UnknownWord
    );
    assert_eq!(
        parse(&ABANDON.replace("about", "äbout")),
        MnemonicError::UnknownWord
    );
    assert_eq!(
        parse(&"a".repeat(MAX_PHRASE_BYTES + 1)),
        MnemonicError::WordCount
    );
}

#[test]
fn passphrases_are_normalised_and_bounded() {
    let mnemonic = Mnemonic::parse(ABANDON).unwrap();
    // "é" as one code point and as two.
    assert_eq!(
        mnemonic.to_seed("\u{e9}").unwrap(),
        mnemonic.to_seed("e\u{301}").unwrap()
    );
    assert_ne!(
        mnemonic.to_seed("").unwrap(),
        mnemonic.to_seed("e").unwrap()
    );
    let long = "x".repeat(MAX_PASSPHRASE_BYTES + 1);
    assert_eq!(mnemonic.to_seed(&long), Err(MnemonicError::Passphrase));
}

#[test]
fn debug_and_errors_name_no_word() {
    let mnemonic = Mnemonic::parse(ABANDON).unwrap();
    let error = Mnemonic::parse(&ABANDON.replace("about", "secretword")).unwrap_err();
    let printed = format!("{mnemonic:?} {:?} {error} {error:?}", mnemonic.to_entropy());
    assert!(
        !printed.contains("abandon") && !printed.contains("secretword"),
        "{printed}"
    );
}
