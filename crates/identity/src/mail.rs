//! Mails: a code, and notices of what became of an account.
//!
//! # Security
//!
//! - The subject, which lock screens and mail providers show, has no digit of the code in it.
//! - Nothing in a header can begin another one: every part comes from a type that has no control
//!   characters, and the library encodes what is not ASCII.
//! - Plain text only, no link: there is nothing to click, so nothing to imitate.
//! - A notice says nothing that whoever signed in could have written: a device's name is its own
//!   choice, so it is left out, and the thumbprint of its key stands there instead.
//! - The message is wiped on drop; copies that the library made while composing are not.
//!
//! RFC 5322 (messages), RFC 3834 (automatic messages).

#[cfg(test)]
mod tests;

use core::time::Duration;
use std::time::SystemTime;

use keyfold_crypto::SecretBytes;
use keyfold_crypto::jwk::Thumbprint;
use lettre::Address;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, SinglePart};

use crate::code::OneTimeCode;
use crate::email::EmailAddress;

const MAX_NAME_CHARS: usize = 64;

/// Reports that a text cannot stand as a name in a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a display name is 1 to 64 letters, digits, single spaces, or any of - . , ' & + ! ( )")]
pub struct DisplayNameError;

/// Hangul fillers: letters by their category, and nothing is seen of them.
const FILLERS: [char; 4] = ['\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}'];

/// The name of an app or a sender, as a person reads it in a mail.
///
/// # Security
///
/// Has no control, formatting or direction character, no `@`, `/`, `:`, `<`, `>` or quote: it can
/// neither break a header nor pass for an address or link with a scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayName(String);

impl DisplayName {
    /// Parses a name.
    ///
    /// # Errors
    ///
    /// [`DisplayNameError`].
    pub fn parse(text: &str) -> Result<Self, DisplayNameError> {
        // A character has at most four bytes: bounds the work before it is done.
        let good = (1..=MAX_NAME_CHARS * 4).contains(&text.len())
            && text.chars().count() <= MAX_NAME_CHARS
            && text.chars().all(|c| {
                (c.is_alphanumeric() && !FILLERS.contains(&c)) || " -.,'&+!()".contains(c)
            })
            && text.split(' ').all(|word| !word.is_empty());
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(DisplayNameError)
        }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Says what is wrong with a text of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeTextError {
    /// Empty, or longer than it may be.
    #[error("a subject is 1 to 100 characters, an intro 1 to 300")]
    Length,
    /// A character that a plain sentence does without.
    #[error("a text is letters, digits, single spaces, and any of - . , ' & + ! ? ( ) ; :")]
    Character,
    /// A full stop or colon within a word, which makes a mail program show a link.
    #[error("a full stop or a colon stands at the end of a word")]
    Link,
    /// A number that could be taken for the code.
    #[error("a number has at most three digits")]
    Number,
    /// A brace that is not of `{project}`.
    #[error("the one placeholder is {{project}}")]
    Placeholder,
}

/// Where the name of the project goes.
const PLACEHOLDER: &str = "{project}";
const MAX_SUBJECT_CHARS: usize = 100;
const MAX_INTRO_CHARS: usize = 300;

/// What the mail with a code says around it: a project's own words, or the usual ones.
///
/// # Security
///
/// The words are an administrator's, the mail is the realm's. So they can neither break a header nor
/// show a link, an address or another number, and what the mail says about the code (that it works
/// once, and is nobody else's business) is not theirs to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeTexts {
    subject: String,
    intro: String,
}

impl Default for CodeTexts {
    fn default() -> Self {
        Self {
            subject: "Your sign-in code for {project}".to_owned(),
            intro: "Your code to sign in to {project} is".to_owned(),
        }
    }
}

impl CodeTexts {
    /// Parses the texts; the usual ones where absent. `{project}` stands for the project's name.
    ///
    /// # Errors
    ///
    /// [`CodeTextError`].
    pub fn parse(subject: Option<&str>, intro: Option<&str>) -> Result<Self, CodeTextError> {
        let usual = Self::default();
        let read = |text: Option<&str>, most, usual| match text {
            Some(text) => check_text(text, most).map(|()| text.to_owned()),
            None => Ok(usual),
        };
        Ok(Self {
            subject: read(subject, MAX_SUBJECT_CHARS, usual.subject)?,
            intro: read(intro, MAX_INTRO_CHARS, usual.intro)?,
        })
    }
}

fn check_text(text: &str, most: usize) -> Result<(), CodeTextError> {
    // Bytes first, so that a long text is not walked.
    if !(1..=most * 4).contains(&text.len()) || text.chars().count() > most {
        return Err(CodeTextError::Length);
    }
    // As a word that ends where the placeholder does, so that what stands around it is seen.
    let text = text.replace(PLACEHOLDER, "X");
    if text.contains(['{', '}']) {
        return Err(CodeTextError::Placeholder);
    }
    let good =
        |c: char| (c.is_alphanumeric() && !FILLERS.contains(&c)) || " -.,'&+!?();:".contains(c);
    if !text.chars().all(good) || text.split(' ').any(str::is_empty) {
        return Err(CodeTextError::Character);
    }
    for word in text.split(' ') {
        let inner = word.trim_end_matches(['.', ':', ',', '!', '?', ')', ';']);
        if inner.contains(['.', ':']) {
            return Err(CodeTextError::Link);
        }
    }
    let mut run = 0;
    for c in text.chars() {
        run = if c.is_numeric() { run + 1 } else { 0 };
        if run > 3 {
            return Err(CodeTextError::Number);
        }
    }
    Ok(())
}

/// Reports that a mail could not be composed. No well-typed input causes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the mail could not be composed")]
pub struct ComposeError;

/// Who a realm's mail comes from.
#[derive(Debug, Clone)]
pub struct Sender {
    /// Name.
    pub name: DisplayName,
    /// Address.
    pub address: EmailAddress,
}

/// Something that an account's owner is told, since it may not have been them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Another device signed in.
    NewDevice {
        /// Thumbprint of its key.
        device: Thumbprint,
        /// Whether it waits before it may act.
        waits: bool,
    },
    /// A device was taken off the account.
    DeviceRevoked {
        /// Thumbprint of its key.
        device: Thumbprint,
    },
    /// Every device but one was taken off the account.
    OtherDevicesRevoked {
        /// Thumbprint of the key of the one that is left.
        left: Thumbprint,
    },
    /// What the account is proved by was changed.
    Changed {
        /// How.
        what: Changed,
        /// Thumbprint of the key of the device that asked.
        device: Thumbprint,
    },
}

/// A change of what an account is proved by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// Another identity was linked.
    Linked,
    /// An identity was taken off.
    Unlinked,
    /// A password was set.
    Password,
    /// An app's codes count from now on.
    SecondFactor,
    /// They count no more.
    NoSecondFactor,
}

impl Changed {
    fn sentence(self) -> &'static str {
        match self {
            Self::Linked => "Another way to sign in was added to your account",
            Self::Unlinked => "A way to sign in was taken off your account",
            Self::Password => "A new password was set for your account",
            Self::SecondFactor => "A second factor was added to your account",
            Self::NoSecondFactor => "The second factor was taken off your account",
        }
    }
}

/// A composed mail, ready for SMTP's `DATA` (before dot-stuffing).
#[derive(Debug)]
pub struct ComposedMail {
    from: EmailAddress,
    to: EmailAddress,
    message: SecretBytes,
}

impl ComposedMail {
    /// Composes the mail that carries a code.
    ///
    /// `now_unix_seconds` becomes its date, `message_id` (random) its name.
    ///
    /// # Errors
    ///
    /// [`ComposeError`].
    pub fn with_code(
        sender: &Sender,
        to: &EmailAddress,
        project: &DisplayName,
        texts: &CodeTexts,
        code: &OneTimeCode,
        now_unix_seconds: u64,
        message_id: [u8; 16],
    ) -> Result<Self, ComposeError> {
        let named = |text: &str| text.replace(PLACEHOLDER, project.as_str());
        let intro = named(&texts.intro);
        let text = code.expose(|digits| {
            format!(
                "{intro}\r\n\
                 \r\n\
                 {digits}\r\n\
                 \r\n\
                 It works once, within 10 minutes, on the device that asked for it.\r\n\
                 Nobody who means well will ever ask you for it.\r\n\
                 \r\n\
                 If you did not ask for it, you can ignore this mail.\r\n"
            )
        });
        Self::compose(
            sender,
            to,
            named(&texts.subject),
            text,
            now_unix_seconds,
            message_id,
        )
    }

    /// Composes a notice of what happened at `now_unix_seconds`, which becomes its date too;
    /// `message_id` (random) becomes its name.
    ///
    /// # Errors
    ///
    /// [`ComposeError`].
    pub fn with_notice(
        sender: &Sender,
        to: &EmailAddress,
        project: &DisplayName,
        notice: &Notice,
        now_unix_seconds: u64,
        message_id: [u8; 16],
    ) -> Result<Self, ComposeError> {
        let project = project.as_str();
        let at = httpdate::fmt_http_date(moment(now_unix_seconds)?);
        let (subject, happened) = match notice {
            Notice::NewDevice { device, waits } => {
                let state = if *waits {
                    "It cannot act yet: it waits until its time has come or a device of yours \
                     lets it in."
                } else {
                    "It may act for your account from now on."
                };
                (
                    format!("A new device signed in to {project}"),
                    format!(
                        "A device that was not seen before signed in to your account at \
                         {project}.\r\n\r\n{state}\r\n\r\nIts key: {device}"
                    ),
                )
            }
            Notice::DeviceRevoked { device } => (
                format!("A device was taken off your account at {project}"),
                format!(
                    "A device was taken off your account at {project}, with its sessions.\r\n\r\n\
                     Its key: {device}"
                ),
            ),
            Notice::OtherDevicesRevoked { left } => (
                format!("All other devices were taken off your account at {project}"),
                format!(
                    "All devices but one were taken off your account at {project}, with their \
                     sessions.\r\n\r\nThe key of the one that is left: {left}"
                ),
            ),
            Notice::Changed { what, device } => {
                let sentence = what.sentence();
                (
                    format!("{sentence} at {project}"),
                    format!("{sentence} at {project}.\r\n\r\nAsked for by the key: {device}"),
                )
            }
        };
        let text = format!(
            "{happened}\r\n\
             Time: {at}\r\n\
             \r\n\
             If this was you, there is nothing to do. If it was not, take off every device that\r\n\
             is not yours in the app, from a device that you know.\r\n\
             Nobody who means well will ever ask you for a code.\r\n"
        );
        Self::compose(sender, to, subject, text, now_unix_seconds, message_id)
    }

    fn compose(
        sender: &Sender,
        to: &EmailAddress,
        subject: String,
        text: String,
        now_unix_seconds: u64,
        message_id: [u8; 16],
    ) -> Result<Self, ComposeError> {
        let id = u128::from_be_bytes(message_id);
        let message = lettre::Message::builder()
            .from(Mailbox::new(
                Some(sender.name.as_str().to_owned()),
                address(&sender.address)?,
            ))
            .to(Mailbox::new(None, address(to)?))
            .date(moment(now_unix_seconds)?)
            .message_id(Some(format!("<{id:032x}@{}>", sender.address.domain())))
            .subject(subject)
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .singlepart(SinglePart::plain(text))
            .map_err(|_| ComposeError)?;
        Ok(Self {
            from: sender.address.clone(),
            to: to.clone(),
            message: SecretBytes::from_vec(message.formatted()),
        })
    }

    /// Returns the address of the envelope's sender.
    pub fn from(&self) -> &EmailAddress {
        &self.from
    }

    /// Returns the one address of the envelope's recipients.
    pub fn to(&self) -> &EmailAddress {
        &self.to
    }

    /// Returns the message: headers, empty line, body, with CRLF line ends.
    pub fn message(&self) -> &SecretBytes {
        &self.message
    }
}

fn moment(unix_seconds: u64) -> Result<SystemTime, ComposeError> {
    // The library's date has a year of four digits.
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_secs(unix_seconds.min(253_402_300_799)))
        .ok_or(ComposeError)
}

fn address(email: &EmailAddress) -> Result<Address, ComposeError> {
    Address::new(email.local(), email.domain()).map_err(|_| ComposeError)
}
