//! Email addresses, in the one form that is looked up and mailed.
//!
//! # One address, one person, one account
//!
//! - Upper and lower case are one address: both parts are folded to lower case. A mail server may
//!   by its standard give `Anna@x` and `anna@x` to two persons. So that neither can enter the
//!   other's account, codes are mailed **to the folded address only**: whoever proves the address
//!   is whoever receives mail for that one spelling.
//! - Nothing else is folded. Dots and `+tags` mean something to some providers and not to others;
//!   guessing would let two persons collide. `a+b@x` and `a@x` are two accounts.
//! - ASCII only, for now. Letters of other scripts that look like Latin ones are refused rather
//!   than shown; international domains can be given in their `xn--` form, which looks like nothing
//!   else.
//! - No quoted local parts, comments, display names, address literals or white space: the forms
//!   in which two programs read two addresses.

use core::fmt;

/// Most bytes of an address.
pub const MAX_EMAIL_LEN: usize = 254;
const MAX_LOCAL_LEN: usize = 64;
const MAX_LABEL_LEN: usize = 63;

/// Says why a text is not an address that codes are sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// More than [`MAX_EMAIL_LEN`] bytes, or 64 before the `@`.
    #[error("the email address is too long")]
    TooLong,
    /// Letters outside ASCII.
    #[error(
        "email addresses with letters outside ASCII are not supported; \
         an international domain can be given in its xn-- form"
    )]
    NotAscii,
    /// Not of the form `name@domain`.
    #[error("not an email address of the form name@domain")]
    Malformed,
}

/// An email address: `name@domain`, lower case.
///
/// # Security
///
/// Personal data: `Debug` prints nothing of it, and there is no `Display`. Free of every character
/// that means something to a mail header or an SMTP server.
///
/// RFC 5321 section 4.1.2 (dot-string and domain only), RFC 1123 section 2.1.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress {
    text: String,
    local_len: usize,
}

impl EmailAddress {
    /// Parses an address as a person typed it. White space around it is the caller's to remove.
    ///
    /// # Errors
    ///
    /// [`EmailError`].
    ///
    /// # Security
    ///
    /// For untrusted text; bounded.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        if text.len() > MAX_EMAIL_LEN {
            return Err(EmailError::TooLong);
        }
        if !text.is_ascii() {
            return Err(EmailError::NotAscii);
        }
        let (local, domain) = text.split_once('@').ok_or(EmailError::Malformed)?;
        if local.len() > MAX_LOCAL_LEN {
            return Err(EmailError::TooLong);
        }
        if !local.split('.').all(is_atom) || !is_domain(domain) {
            return Err(EmailError::Malformed);
        }
        Ok(Self {
            text: text.to_ascii_lowercase(),
            local_len: local.len(),
        })
    }

    /// Returns the address: to mail to, and to seal into the account's record.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the part before the `@`.
    pub fn local(&self) -> &str {
        self.text.get(..self.local_len).unwrap_or_default()
    }

    /// Returns the part after the `@`.
    pub fn domain(&self) -> &str {
        self.text.get(self.local_len + 1..).unwrap_or_default()
    }

    /// Returns the bytes that an account is looked up by: those of [`EmailAddress::as_str`].
    ///
    /// # Security
    ///
    /// Addresses can be guessed. A look-up key that leaves the enclave is a keyed hash of a
    /// canonical encoding of project and these bytes, never these bytes or their plain hash.
    pub fn lookup_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress([redacted])")
    }
}

impl core::str::FromStr for EmailAddress {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        Self::parse(text)
    }
}

/// `atext` of RFC 5322 section 3.2.3.
fn is_atom(atom: &str) -> bool {
    !atom.is_empty()
        && atom
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
}

/// At least two labels, the last of which is no number: an address literal is no domain.
fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        (1..=MAX_LABEL_LEN).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    domain.split('.').all(label)
        && domain
            .rsplit_once('.')
            .is_some_and(|(_, last)| last.starts_with(|c: char| c.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<String, EmailError> {
        EmailAddress::parse(text).map(|address| address.as_str().to_owned())
    }

    #[test]
    fn case_does_not_make_a_second_account() {
        for text in [
            "anna@mail.example",
            "Anna@mail.example",
            "ANNA@MAIL.EXAMPLE",
        ] {
            let address = EmailAddress::parse(text).unwrap();
            assert_eq!(address.lookup_bytes(), b"anna@mail.example");
            // What is mailed is what is looked up, so no other spelling's owner can prove it.
            assert_eq!(address.as_str(), "anna@mail.example");
            assert_eq!(
                (address.local(), address.domain()),
                ("anna", "mail.example")
            );
        }
    }

    #[test]
    fn addresses_of_different_persons_stay_different() {
        let spellings = [
            "ab@x.example",
            "a.b@x.example",
            "ab+tag@x.example",
            "ab@y.x.example",
        ];
        for (i, first) in spellings.iter().enumerate() {
            for second in &spellings[..i] {
                assert_ne!(parse(first).unwrap(), parse(second).unwrap());
            }
        }
    }

    #[test]
    fn homographs_and_full_width_characters_are_refused_with_a_reason() {
        for text in [
            "\u{0430}nna@mail.example",   // Cyrillic a
            "anna@m\u{0430}il.example",   // in the domain
            "anna@\u{ff4d}ail.example",   // full-width m
            "anna\u{ff11}@mail.example",  // full-width 1
            "anna\u{ff20}mail.example",   // full-width @
            "anna@mail\u{3002}example",   // ideographic full stop
            "anna\u{200b}@mail.example",  // zero-width space
            "\u{202e}anna@mail.example",  // right-to-left override
            "stra\u{df}e@mail.example",   // folds to "strasse" in some libraries
            "\u{212a}elvin@mail.example", // Kelvin sign, lower-cases to k in Unicode
            "dot\u{131}@mail.example",    // dotless i
        ] {
            assert_eq!(parse(text), Err(EmailError::NotAscii), "{text}");
        }
        assert!(parse("anna@xn--bcher-kva.example").is_ok());
    }

    #[test]
    fn nothing_that_means_something_to_a_header_or_server_gets_through() {
        for text in [
            "a@x.example\nBcc: b@y.example",
            "a@x.example\r\n",
            "\na@x.example",
            "a\0@x.example",
            "a@x.example\t",
            " a@x.example",
            "a@x.example ",
            "a b@x.example",
            "a@x .example",
            "\"a b\"@x.example",
            "\"a\"@x.example",
            "a(comment)@x.example",
            "a@(x)x.example",
            "<a@x.example>",
            "Anna <a@x.example>",
            "a@x.example,b@y.example",
            "a@b@x.example",
            "a@x.example;b",
            "a:b@x.example",
            "a\\b@x.example",
            "@x.example",
            "a@",
            "@",
            "",
            "a",
            "a@x",
            "a@.example",
            "a@x.",
            "a@x..example",
            "a@-x.example",
            "a@x-.example",
            "a@x_y.example",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a@x.1",
            ".a@x.example",
            "a.@x.example",
            "a..b@x.example",
            "a@x.example\u{7f}",
            "a%\u{1b}[0m@x.example",
        ] {
            assert_eq!(parse(text), Err(EmailError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn lengths_are_bounded() {
        let domain = format!("{0}.{0}.{1}.example", "a".repeat(63), "a".repeat(53));
        let longest = format!("{}@{domain}", "a".repeat(64));
        assert_eq!(longest.len(), MAX_EMAIL_LEN);
        assert!(parse(&longest).is_ok());
        assert_eq!(parse(&format!("{longest}a")), Err(EmailError::TooLong));
        assert_eq!(
            parse(&format!("{}@x.example", "a".repeat(65))),
            Err(EmailError::TooLong)
        );
        assert_eq!(
            parse(&format!("a@{}.example", "a".repeat(64))),
            Err(EmailError::Malformed)
        );
        assert_eq!(parse(&"a".repeat(10 << 20)), Err(EmailError::TooLong));
    }

    #[test]
    fn nothing_of_an_address_is_printed() {
        let address = EmailAddress::parse("anna@mail.example").unwrap();
        assert_eq!(format!("{address:?}"), "EmailAddress([redacted])");
    }

    proptest! {
        #[test]
        fn parsing_is_idempotent_and_never_panics(text in "\\PC{0,80}|[a-zA-Z0-9.@+-]{0,40}") {
            if let Ok(address) = EmailAddress::parse(&text) {
                let again = EmailAddress::parse(address.as_str()).unwrap();
                prop_assert_eq!(&again, &address);
                prop_assert!(text.eq_ignore_ascii_case(address.as_str()));
                prop_assert_eq!(format!("{}@{}", again.local(), again.domain()), again.as_str());
            }
        }
    }
}
