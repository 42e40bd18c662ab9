//! Who somebody is at an issuer, as far as it was proven.

use core::fmt;

use serde::Deserialize;

use crate::email::EmailAddress;

/// Most bytes of a subject, as OpenID Connect Core section 2 says.
pub const MAX_SUBJECT_LEN: usize = 255;

/// An address that an issuer says belongs to a subject.
///
/// # Security
///
/// Never a reason to link accounts: the same address at two issuers may be two persons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedEmail {
    /// The address.
    pub address: EmailAddress,
    /// Whether the issuer verified it, and is one whose word counts for this address.
    pub verified: bool,
}

/// A person at an issuer, proven: only the verification of a token or of a provider's own answer
/// makes one.
///
/// The account is that of issuer and subject together; the same subject at another issuer is
/// somebody else.
#[derive(Clone, PartialEq, Eq)]
pub struct ProvenSubject {
    pub(super) issuer: String,
    pub(super) audience: String,
    pub(super) subject: String,
    pub(super) email: Option<ClaimedEmail>,
    pub(super) issued_at_unix_seconds: u64,
    pub(super) expires_at_unix_seconds: u64,
    pub(super) authenticated_at_unix_seconds: Option<u64>,
    pub(super) acr: Option<String>,
}

impl ProvenSubject {
    /// Returns the issuer, exactly as it was configured.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the client identifier or audience that the proof is for.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// Returns the issuer's name for the person: stable, and unique at this issuer.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Returns the address that the issuer knows. See [`ClaimedEmail`] for what it is not.
    pub fn email(&self) -> Option<&ClaimedEmail> {
        self.email.as_ref()
    }

    /// Returns when the issuer made the statement, in Unix seconds.
    pub fn issued_at_unix_seconds(&self) -> u64 {
        self.issued_at_unix_seconds
    }

    /// Returns when the statement ends, in Unix seconds.
    pub fn expires_at_unix_seconds(&self) -> u64 {
        self.expires_at_unix_seconds
    }

    /// Returns when the person signed in at the issuer, in Unix seconds, if it says so.
    pub fn authenticated_at_unix_seconds(&self) -> Option<u64> {
        self.authenticated_at_unix_seconds
    }

    /// Returns how strongly, in the issuer's own words, if it says so.
    pub fn acr(&self) -> Option<&str> {
        self.acr.as_deref()
    }
}

/// Prints the issuer only: subject and address are personal data.
impl fmt::Debug for ProvenSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvenSubject")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

/// Tells whether a text can be a subject: 1 to 255 visible ASCII characters.
pub(super) fn is_subject(text: &str) -> bool {
    (1..=MAX_SUBJECT_LEN).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Whose word on an address counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailTrust {
    /// An address counts as verified where the issuer says so.
    Claimed,
    /// Only where the issuer also runs the mailbox's domain, or somebody manages it there.
    ///
    /// Google is authoritative for `gmail.com` and for addresses with an `hd` claim; anybody could
    /// once verify another address there and lose it since.
    /// <https://developers.google.com/identity/gsi/web/guides/verify-google-id-token>
    GoogleAuthoritative,
    /// No address counts as verified.
    Never,
}

impl EmailTrust {
    /// Reads an address. One that no code could be mailed to is none.
    pub(super) fn read(
        self,
        email: Option<&str>,
        verified: bool,
        hosted_domain: Option<&str>,
    ) -> Option<ClaimedEmail> {
        let address = EmailAddress::parse(email?).ok()?;
        let authoritative = match self {
            Self::Claimed => true,
            Self::GoogleAuthoritative => {
                address.domain() == "gmail.com" || hosted_domain.is_some_and(|hd| !hd.is_empty())
            }
            Self::Never => false,
        };
        Some(ClaimedEmail {
            address,
            verified: verified && authoritative,
        })
    }
}

/// A boolean that some issuers write as a text.
///
/// Apple: "The value can either be a String ("true" or "false") or a Boolean".
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Flag {
    Bool(bool),
    Text(String),
}

impl Flag {
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Bool(flag) => *flag,
            Self::Text(text) => text == "true",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_word_on_an_address_counts() {
        let verified = |trust: EmailTrust, email: &str, flag: bool, hd: Option<&str>| {
            trust.read(Some(email), flag, hd).unwrap().verified
        };
        for (trust, other_domain, hosted) in [
            (EmailTrust::Claimed, true, true),
            (EmailTrust::GoogleAuthoritative, false, true),
            (EmailTrust::Never, false, false),
        ] {
            assert_eq!(verified(trust, "a@mail.example", true, None), other_domain);
            assert_eq!(
                verified(trust, "a@mail.example", true, Some("mail.example")),
                hosted
            );
            assert!(!verified(trust, "a@gmail.com", false, Some("gmail.com")));
        }
        assert!(verified(
            EmailTrust::GoogleAuthoritative,
            "A@Gmail.com",
            true,
            None
        ));
        // Not the provider's own domain, only alike.
        for alike in [
            "a@gmail.com.example",
            "a@x-gmail.com",
            "a@googlemail.example",
        ] {
            assert!(!verified(
                EmailTrust::GoogleAuthoritative,
                alike,
                true,
                None
            ));
        }
        for not_mailable in ["", "a", "a@x\nBcc: b@y.example", "\u{430}@mail.example"] {
            assert_eq!(
                EmailTrust::Claimed.read(Some(not_mailable), true, None),
                None
            );
        }
    }

    #[test]
    fn a_flag_is_true_in_two_spellings_only() {
        for (text, expected) in [
            ("true", true),
            ("\"true\"", true),
            ("false", false),
            ("\"false\"", false),
            ("\"True\"", false),
            ("\"1\"", false),
            ("\"\"", false),
        ] {
            let flag: Flag = serde_json::from_str(text).unwrap();
            assert_eq!(flag.is_true(), expected, "{text}");
        }
        assert!(serde_json::from_str::<Flag>("1").is_err());
        assert!(serde_json::from_str::<Flag>("[true]").is_err());
    }
}
