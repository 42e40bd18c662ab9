//! Which new passwords are guessed first: what was often in breaches, and what the place suggests.

use keyfold_crypto::hash::sha256;
use zeroize::Zeroizing;

use super::{MIN_PASSWORD_CHARS, Password, PasswordError};

/// Bytes that are kept of a hash: a password that is not on the list is taken for one that is with a
/// chance of one in 30 billion.
const PREFIX: usize = 6;

/// Of 8,450 passwords, written by `tools/known-passwords.mjs`, which says where they are from.
static KNOWN: &[u8] = include_bytes!("known.bin");

/// Shortest word of the place that counts; shorter ones are in everything.
const MIN_WORD_CHARS: usize = 4;

/// Words of every place.
const ALWAYS: [&str; 2] = ["keyfold", "password"];

impl Password {
    /// Checks that a new password is not one that is guessed first (NIST SP 800-63B-4 section
    /// 3.1.1.2).
    ///
    /// `place` is what a guesser knows: the address, the project's domain and name. A password
    /// without its words, of four characters or more and whatever their case, must still have
    /// [`MIN_PASSWORD_CHARS`].
    ///
    /// # Errors
    ///
    /// [`PasswordError::WellKnown`], [`PasswordError::Context`].
    pub fn check_new(&self, place: &[&str]) -> Result<(), PasswordError> {
        let lower = self.expose(|text| Zeroizing::new(text.to_lowercase()));
        if is_known(&lower) {
            return Err(PasswordError::WellKnown);
        }
        let mut words: Vec<String> = place
            .iter()
            .flat_map(|text| text.split(|c: char| !c.is_alphanumeric()))
            .chain(ALWAYS)
            .map(str::to_lowercase)
            .filter(|word| word.chars().count() >= MIN_WORD_CHARS)
            .collect();
        // The longest first, or a word within it would leave the rest of it standing.
        words.sort_by_key(|word| core::cmp::Reverse(word.len()));
        let mut left = lower;
        for word in &words {
            left = Zeroizing::new(left.replace(word.as_str(), ""));
        }
        match left.chars().count() {
            ..MIN_PASSWORD_CHARS => Err(PasswordError::Context),
            _ => Ok(()),
        }
    }
}

fn is_known(lower: &str) -> bool {
    let hash = Zeroizing::new(sha256(lower.as_bytes()));
    let (known, _) = KNOWN.as_chunks::<PREFIX>();
    hash.first_chunk::<PREFIX>()
        .is_some_and(|prefix| known.binary_search(prefix).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: [&str; 3] = ["anna.schmidt@mail.example", "shop.example", "Corner Shop"];

    fn checked(text: &str) -> Result<(), PasswordError> {
        Password::parse(text).unwrap().check_new(&PLACE)
    }

    #[test]
    fn what_was_often_in_breaches_is_refused_in_any_case_of_letters() {
        for text in [
            "123456789",
            "password1",
            "PassWord1",
            "iloveyou1",
            "qwertyuiop",
            "1q2w3e4r",
        ] {
            assert_eq!(checked(text), Err(PasswordError::WellKnown), "{text}");
        }
        for text in [
            "correct horse battery",
            "zu7Xq!0pLm",
            "\u{43f}\u{430}\u{440}\u{43e}\u{43b}\u{44c} \u{434}\u{43b}\u{44f} \u{43c}\u{435}\u{43d}\u{44f}",
        ] {
            assert_eq!(checked(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn the_list_is_sorted_without_repetition_and_larger_than_asked_for() {
        let (known, rest) = KNOWN.as_chunks::<PREFIX>();
        assert!(rest.is_empty());
        assert!(known.is_sorted_by(|a, b| a < b));
        // ASVS 5.0, 6.2.4.
        assert!(known.len() >= 3_000);
    }

    #[test]
    fn words_of_the_place_are_not_what_makes_a_password_long() {
        for text in [
            "annaSchmidt1987",
            "Schmidt-schmidt-12",
            "example.2026",
            "cornerSHOP!",
            "Keyfold2026",
            "mypassword99",
        ] {
            assert_eq!(checked(text), Err(PasswordError::Context), "{text}");
        }
        for text in [
            "schmidt likes rainy days",
            "the corner where we met",
            "ann@!shp-x9-11",
        ] {
            assert_eq!(checked(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_place_of_any_words_is_checked_in_bounded_work() {
        let long = "word ".repeat(64);
        assert_eq!(
            Password::parse(&"wordword".repeat(16))
                .unwrap()
                .check_new(&[&long]),
            Err(PasswordError::Context)
        );
        assert_eq!(
            Password::parse("correct horse")
                .unwrap()
                .check_new(&["", "@", "a.b"]),
            Ok(())
        );
    }
}
