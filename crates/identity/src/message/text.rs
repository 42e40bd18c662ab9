//! The grammar of the messages: EIP-4361's, with the differences that Sign-In With Solana has.

use super::{MAX_MESSAGE_LEN, MAX_RESOURCES, MessageError, parse_date_time};

/// The fields of a message, in the standard's form but not yet believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fields<'a> {
    pub(crate) scheme: Option<&'a str>,
    pub(crate) domain: &'a str,
    pub(crate) address: &'a str,
    pub(crate) statement: Option<&'a str>,
    pub(crate) uri: &'a str,
    pub(crate) chain_id: Option<&'a str>,
    pub(crate) nonce: &'a str,
    pub(crate) issued_at: u64,
    pub(crate) expires: Option<u64>,
    pub(crate) not_before: Option<u64>,
    pub(crate) resources: Vec<&'a str>,
}

/// What one standard requires and the other does not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Optional {
    /// What the first line says after the domain.
    pub(crate) wants: &'static str,
    /// Whether a scheme may stand before the domain.
    pub(crate) scheme: bool,
    /// Whether the chain may be left out.
    pub(crate) chain_id: bool,
    /// Whether an empty line stands in a missing statement's place.
    pub(crate) empty_statement_line: bool,
}

/// Reads a message.
pub(crate) fn parse(text: &str, form: Optional) -> Result<Fields<'_>, MessageError> {
    if text.len() > MAX_MESSAGE_LEN {
        return Err(MessageError::TooLong);
    }
    // No carriage return, tab, or letter of another script is in any of the grammars. The fields'
    // own say so too; said once for all, no later change of one lets them in.
    if !text
        .bytes()
        .all(|b| b == b'\n' || (b' '..=b'~').contains(&b))
    {
        return Err(MessageError::Malformed);
    }
    let mut lines = Lines {
        lines: text.split('\n').peekable(),
    };
    let first = lines.next()?;
    let (scheme, domain) = split_first_line(first, form)?;
    let address = lines.next()?;
    lines.empty()?;
    let statement = match lines.lines.peek() {
        Some(&"") => {
            lines.empty()?;
            if !form.empty_statement_line {
                return Err(MessageError::Malformed);
            }
            None
        }
        // A statement is followed by an empty line, a field by another field.
        Some(line) if form.empty_statement_line || !line.starts_with("URI: ") => {
            let statement = lines.next()?;
            if !statement.bytes().all(|b| b == b' ' || is_uri_char(b)) {
                return Err(MessageError::Malformed);
            }
            lines.empty()?;
            Some(statement)
        }
        _ => None,
    };
    let uri = lines.field("URI: ").ok_or(MessageError::Malformed)?;
    if !is_uri(uri) || lines.field("Version: ") != Some("1") {
        return Err(MessageError::Malformed);
    }
    let chain_id = lines.field("Chain ID: ");
    let nonce = lines.field("Nonce: ").ok_or(MessageError::Malformed)?;
    let issued_at = lines.time("Issued At: ")?.ok_or(MessageError::Malformed)?;
    let expires = lines.time("Expiration Time: ")?;
    let not_before = lines.time("Not Before: ")?;
    let request_id = lines.field("Request ID: ");
    if chain_id.is_none() && !form.chain_id
        || nonce.len() < 8
        || !nonce.bytes().all(|b| b.is_ascii_alphanumeric())
        || !request_id.is_none_or(|id| id.bytes().all(is_path_char))
    {
        return Err(MessageError::Malformed);
    }
    let mut resources = Vec::new();
    if let Some(rest) = lines.field("Resources:") {
        if !rest.is_empty() {
            return Err(MessageError::Malformed);
        }
        while let Some(resource) = lines.field("- ") {
            if resources.len() == MAX_RESOURCES {
                return Err(MessageError::TooLong);
            }
            if !is_uri(resource) {
                return Err(MessageError::Malformed);
            }
            resources.push(resource);
        }
    }
    lines.end()?;
    Ok(Fields {
        scheme,
        domain,
        address,
        statement,
        uri,
        chain_id,
        nonce,
        issued_at,
        expires,
        not_before,
        resources,
    })
}

struct Lines<'a> {
    lines: core::iter::Peekable<core::str::Split<'a, char>>,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<&'a str, MessageError> {
        self.lines.next().ok_or(MessageError::Malformed)
    }

    fn empty(&mut self) -> Result<(), MessageError> {
        if self.next()?.is_empty() {
            Ok(())
        } else {
            Err(MessageError::Malformed)
        }
    }

    /// Takes the next line if it begins so; returns what follows.
    fn field(&mut self, name: &str) -> Option<&'a str> {
        let value = self.lines.peek()?.strip_prefix(name)?;
        self.lines.next();
        Some(value)
    }

    fn time(&mut self, name: &str) -> Result<Option<u64>, MessageError> {
        self.field(name)
            .map(|text| parse_date_time(text).ok_or(MessageError::Malformed))
            .transpose()
    }

    fn end(mut self) -> Result<(), MessageError> {
        match self.lines.next() {
            None => Ok(()),
            Some(_) => Err(MessageError::Malformed),
        }
    }
}

/// Splits `[scheme "://"] domain " wants ..."`.
fn split_first_line(line: &str, form: Optional) -> Result<(Option<&str>, &str), MessageError> {
    let before = line
        .strip_suffix(form.wants)
        .ok_or(MessageError::Malformed)?;
    let (scheme, domain) = match before.split_once("://") {
        Some((scheme, domain)) if form.scheme && is_scheme(scheme) => (Some(scheme), domain),
        Some(_) => return Err(MessageError::Malformed),
        None => (None, before),
    };
    // An authority has neither spaces nor what ends it.
    let authority = |b: u8| is_uri_char(b) && !b"/?#".contains(&b);
    if domain.is_empty() || !domain.bytes().all(authority) {
        return Err(MessageError::Malformed);
    }
    Ok((scheme, domain))
}

/// RFC 3986 section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

/// RFC 3986 section 3, as far as characters go: a scheme, and nothing that no URI contains.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let escapes = rest.split('%').skip(1).all(|after| {
        after
            .as_bytes()
            .get(..2)
            .is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    });
    is_scheme(scheme) && escapes && rest.bytes().all(|b| b == b'%' || is_uri_char(b))
}

/// `reserved` and `unreserved` of RFC 3986 section 2.
fn is_uri_char(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&b)
}

/// `pchar` of RFC 3986 section 3.3.
fn is_path_char(b: u8) -> bool {
    b == b'%' || is_uri_char(b) && !b"/?#[]".contains(&b)
}
