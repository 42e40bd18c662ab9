//! Inner messages and their binary HTTP encoding.
//!
//! The encoder is the `bhttp` library's. The decoder is ours, because what arrives here was
//! written by a stranger and the library's reader joins repeated cookies, takes every form of
//! message, ignores what follows it, and allocates for as many fields as there are bytes. A test
//! holds the two against each other.

use core::fmt;

use bhttp::{Message, Mode, StatusCode};
use zeroize::Zeroizing;

use super::{MAX_BODY_LEN, MAX_HEADER_SECTION_LEN, MAX_HEADERS, MAX_INNER_LEN, PADDING_BLOCK};

/// Most bytes of a method, an authority and a path with query.
const MAX_METHOD_LEN: usize = 16;
const MAX_AUTHORITY_LEN: usize = 255;
const MAX_PATH_LEN: usize = 8 << 10;

/// First integer of a known-length request and response (RFC 9292 section 3.3).
const KNOWN_LENGTH_REQUEST: u64 = 0;
const KNOWN_LENGTH_RESPONSE: u64 = 1;

/// Reports that an inner message is not one this protocol carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// A part is longer than its limit.
    #[error("the {0} of the inner message is too large")]
    TooLarge(&'static str),
    /// A part is not well-formed.
    #[error("the {0} of the inner message is malformed")]
    Malformed(&'static str),
}

/// A request inside the channel. Its scheme is always `https`.
///
/// The fields are checked whenever the request is encoded or decoded: the method is upper-case
/// letters, the authority a host name with or without port, the path begins with `/`, header names
/// are lower-case tokens that occur once, values are printable ASCII.
#[derive(Clone, PartialEq, Eq)]
pub struct InnerRequest {
    /// Method, such as `POST`.
    pub method: String,
    /// Authority: in this protocol the instance that is to answer.
    pub authority: String,
    /// Path, with `?` and query where there is one.
    pub path_and_query: String,
    /// Header fields: lower-case name, value.
    pub headers: Vec<(String, String)>,
    /// Body. It may hold a mail code or a password, so it wipes itself.
    pub body: Zeroizing<Vec<u8>>,
}

/// A response inside the channel.
#[derive(Clone, PartialEq, Eq)]
pub struct InnerResponse {
    /// Status, 200 to 599.
    pub status: u16,
    /// Header fields: lower-case name, value.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl InnerRequest {
    /// Returns the value of a header field, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find_header(&self.headers, name)
    }

    /// Encodes as padded, known-length binary HTTP.
    ///
    /// # Errors
    ///
    /// [`MessageError`] if a part is malformed or too large.
    pub fn to_bhttp(&self) -> Result<Vec<u8>, MessageError> {
        self.check()?;
        let mut message = Message::request(
            self.method.clone().into_bytes(),
            b"https".to_vec(),
            self.authority.clone().into_bytes(),
            self.path_and_query.clone().into_bytes(),
        );
        write(&mut message, &self.headers, &self.body)
    }

    /// Decodes known-length binary HTTP, which may be padded with zeros.
    ///
    /// # Errors
    ///
    /// [`MessageError`] if anything is malformed, too large, left over, or of another form.
    ///
    /// # Security
    ///
    /// For untrusted bytes: allocates in proportion to its input and its limits, never panics.
    pub fn from_bhttp(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut reader = Reader::new(bytes)?;
        if reader.integer()? != KNOWN_LENGTH_REQUEST {
            return Err(MessageError::Malformed("form"));
        }
        let method = reader.text("method", MAX_METHOD_LEN)?;
        if reader.text("scheme", b"https".len())? != "https" {
            return Err(MessageError::Malformed("scheme"));
        }
        let authority = reader.text("authority", MAX_AUTHORITY_LEN)?;
        let path_and_query = reader.text("path", MAX_PATH_LEN)?;
        let (headers, body) = reader.rest()?;
        let request = Self {
            method,
            authority,
            path_and_query,
            headers,
            body: body.into(),
        };
        request.check()?;
        Ok(request)
    }

    fn check(&self) -> Result<(), MessageError> {
        bounded("method", self.method.len(), MAX_METHOD_LEN)?;
        bounded("authority", self.authority.len(), MAX_AUTHORITY_LEN)?;
        bounded("path", self.path_and_query.len(), MAX_PATH_LEN)?;
        well_formed(
            "method",
            !self.method.is_empty() && self.method.bytes().all(|b| b.is_ascii_uppercase()),
        )?;
        well_formed(
            "authority",
            !self.authority.is_empty()
                && self.authority.bytes().all(|b| {
                    b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b':')
                }),
        )?;
        well_formed(
            "path",
            self.path_and_query.starts_with('/')
                && self
                    .path_and_query
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && b != b'#'),
        )?;
        check_fields(&self.headers, &self.body)
    }
}

impl InnerResponse {
    /// Returns the value of a header field, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find_header(&self.headers, name)
    }

    /// Encodes as padded, known-length binary HTTP.
    ///
    /// # Errors
    ///
    /// [`MessageError`] if a part is malformed or too large.
    pub fn to_bhttp(&self) -> Result<Vec<u8>, MessageError> {
        self.check()?;
        let status =
            StatusCode::try_from(self.status).map_err(|_| MessageError::Malformed("status"))?;
        write(&mut Message::response(status), &self.headers, &self.body)
    }

    /// Decodes known-length binary HTTP, which may be padded with zeros.
    ///
    /// # Errors
    ///
    /// [`MessageError`] if anything is malformed, too large, left over, or of another form;
    /// informational responses are not taken.
    ///
    /// # Security
    ///
    /// For untrusted bytes: allocates in proportion to its input and its limits, never panics.
    pub fn from_bhttp(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut reader = Reader::new(bytes)?;
        if reader.integer()? != KNOWN_LENGTH_RESPONSE {
            return Err(MessageError::Malformed("form"));
        }
        let status =
            u16::try_from(reader.integer()?).map_err(|_| MessageError::Malformed("status"))?;
        // Before the fields: an informational response is followed by another one.
        well_formed("status", (200..=599).contains(&status))?;
        let (headers, body) = reader.rest()?;
        let response = Self {
            status,
            headers,
            body,
        };
        response.check()?;
        Ok(response)
    }

    fn check(&self) -> Result<(), MessageError> {
        well_formed("status", (200..=599).contains(&self.status))?;
        check_fields(&self.headers, &self.body)
    }
}

impl fmt::Debug for InnerRequest {
    /// Prints no value of a header, no query and no body: they may hold codes and attestations.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path_and_query.split('?').next().unwrap_or_default();
        f.debug_struct("InnerRequest")
            .field("method", &self.method)
            .field("path", &path)
            .field("headers", &HeaderNames(&self.headers))
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for InnerResponse {
    /// Prints no value of a header and no body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InnerResponse")
            .field("status", &self.status)
            .field("headers", &HeaderNames(&self.headers))
            .field("body_len", &self.body.len())
            .finish()
    }
}

struct HeaderNames<'a>(&'a [(String, String)]);

impl fmt::Debug for HeaderNames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

fn find_header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(n, _)| n == name)
        .map(|(_, value)| value.as_str())
}

fn bounded(part: &'static str, len: usize, max: usize) -> Result<(), MessageError> {
    if len <= max {
        Ok(())
    } else {
        Err(MessageError::TooLarge(part))
    }
}

fn well_formed(part: &'static str, good: bool) -> Result<(), MessageError> {
    if good {
        Ok(())
    } else {
        Err(MessageError::Malformed(part))
    }
}

fn check_fields(headers: &[(String, String)], body: &[u8]) -> Result<(), MessageError> {
    bounded("body", body.len(), MAX_BODY_LEN)?;
    bounded("header section", headers.len(), MAX_HEADERS)?;
    let mut section_len = 0;
    for (index, (name, value)) in headers.iter().enumerate() {
        // Each of the two lengths takes at most four bytes here.
        section_len += name.len() + value.len() + 8;
        well_formed("header name", is_token(name))?;
        well_formed("header value", is_field_value(value))?;
        // One name, one value: nobody has to wonder which of two counts, or what was signed.
        well_formed(
            "header section",
            headers.iter().take(index).all(|(n, _)| n != name),
        )?;
    }
    bounded("header section", section_len, MAX_HEADER_SECTION_LEN)
}

/// Lower-case token of RFC 9110 section 5.6.2.
fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&b)
        })
}

/// Printable ASCII without white space around it.
fn is_field_value(value: &str) -> bool {
    value.trim_matches([' ', '\t']).len() == value.len()
        && value
            .bytes()
            .all(|b| matches!(b, b' ' | b'\t') || b.is_ascii_graphic())
}

fn write(
    message: &mut Message,
    headers: &[(String, String)],
    body: &[u8],
) -> Result<Vec<u8>, MessageError> {
    for (name, value) in headers {
        message.put_header(name.as_bytes(), value.as_bytes());
    }
    message.write_content(body);
    let mut bytes = Vec::with_capacity(body.len() + PADDING_BLOCK);
    message
        .write_bhttp(Mode::KnownLength, &mut bytes)
        .map_err(|_| MessageError::Malformed("whole"))?;
    bytes.resize(bytes.len().next_multiple_of(PADDING_BLOCK), 0);
    bounded("whole", bytes.len(), MAX_INNER_LEN)?;
    Ok(bytes)
}

type Fields = Vec<(String, String)>;

/// Reads the pieces of a known-length message from the front.
struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, MessageError> {
        bounded("whole", bytes.len(), MAX_INNER_LEN)?;
        Ok(Self { left: bytes })
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], MessageError> {
        let (front, back) = self
            .left
            .split_at_checked(len)
            .ok_or(MessageError::Malformed("length"))?;
        self.left = back;
        Ok(front)
    }

    /// Reads a variable-length integer (RFC 9000 section 16).
    fn integer(&mut self) -> Result<u64, MessageError> {
        let first = *self.left.first().ok_or(MessageError::Malformed("length"))?;
        let bytes = self.take(1 << (first >> 6))?;
        Ok(bytes
            .iter()
            .skip(1)
            .fold(u64::from(first & 0x3f), |value, byte| {
                (value << 8) | u64::from(*byte)
            }))
    }

    fn bytes(&mut self, part: &'static str, max: usize) -> Result<&'a [u8], MessageError> {
        let len = usize::try_from(self.integer()?).map_err(|_| MessageError::TooLarge(part))?;
        bounded(part, len, max)?;
        self.take(len)
    }

    fn text(&mut self, part: &'static str, max: usize) -> Result<String, MessageError> {
        let bytes = self.bytes(part, max)?;
        let text = core::str::from_utf8(bytes).map_err(|_| MessageError::Malformed(part))?;
        Ok(text.to_owned())
    }

    /// Reads header section, content, trailer section and padding.
    ///
    /// The specification lets a sender leave out empty sections at the end (section 3.8).
    fn rest(mut self) -> Result<(Fields, Vec<u8>), MessageError> {
        let section = self.section("header section", MAX_HEADER_SECTION_LEN)?;
        let content = self.section("body", MAX_BODY_LEN)?;
        let trailers = self.section("trailer section", 0)?;
        debug_assert!(trailers.is_empty());
        well_formed("padding", self.left.iter().all(|b| *b == 0))?;

        let mut fields = Reader { left: section };
        let mut headers = Vec::new();
        while !fields.left.is_empty() {
            bounded("header section", headers.len() + 1, MAX_HEADERS)?;
            let name = fields.text("header name", MAX_HEADER_SECTION_LEN)?;
            let value = fields.text("header value", MAX_HEADER_SECTION_LEN)?;
            headers.push((name, value));
        }
        Ok((headers, content.to_vec()))
    }

    fn section(&mut self, part: &'static str, max: usize) -> Result<&'a [u8], MessageError> {
        if self.left.is_empty() {
            Ok(&[])
        } else {
            self.bytes(part, max)
        }
    }
}
