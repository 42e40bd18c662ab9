//! A document as somebody has it: bytes, or text that was pasted.

use std::fmt;
use std::path::Path;

use base64ct::{Base64Unpadded, Base64UrlUnpadded, Encoding as _};
use keyfold_attest::MAX_DOCUMENT_LEN;
use serde_json::{Value, json};

use crate::code::CliCode;
use crate::error::CliError;
use crate::files::first_bytes;

/// Most bytes of text: two digits for each byte of the longest document, and white space between.
const MAX_INPUT_LEN: usize = 4 * MAX_DOCUMENT_LEN;

/// How the document was written down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Cbor,
    Hexadecimal,
    Base64,
}

impl Form {
    fn as_str(self) -> &'static str {
        match self {
            Self::Cbor => "cbor",
            Self::Hexadecimal => "hex",
            Self::Base64 => "base64",
        }
    }
}

/// A document's bytes, of which nothing is known yet.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Input {
    pub(super) document: Vec<u8>,
    form: Form,
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match self.form {
            Form::Cbor => "CBOR",
            Form::Hexadecimal => "hexadecimal text",
            Form::Base64 => "base64 text",
        };
        write!(f, "{form}, {} bytes of document", self.document.len())
    }
}

impl Input {
    pub(super) fn read(file: &Path) -> Result<Self, CliError> {
        Self::of(first_bytes(file, MAX_INPUT_LEN as u64 + 1)?)
    }

    pub(super) fn to_json(&self) -> Value {
        json!({ "form": self.form.as_str(), "bytes": self.document.len() })
    }

    /// Tells the forms apart. A document begins with a tag or an array, which no text does; and
    /// base64 of those begins with `h`, `n` or `0o`, so that hexadecimal digits are never base64.
    fn of(bytes: Vec<u8>) -> Result<Self, CliError> {
        if bytes.len() > MAX_INPUT_LEN {
            return Err(malformed(format!(
                "it has more than {MAX_INPUT_LEN} bytes, and no document has more than \
                 {MAX_DOCUMENT_LEN}"
            )));
        }
        let text: Vec<u8> = bytes
            .iter()
            .copied()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        if text.is_empty() {
            return Err(malformed("it is empty"));
        }
        if !text.is_ascii() {
            return Ok(Self {
                document: bytes,
                form: Form::Cbor,
            });
        }
        let (digits, prefixed) = match text.strip_prefix(b"0x") {
            Some(digits) => (digits, true),
            None => (text.as_slice(), false),
        };
        let (document, form) = match hex::decode(digits) {
            Ok(document) => (Some(document), Form::Hexadecimal),
            Err(_) if prefixed => (None, Form::Hexadecimal),
            Err(_) => (base64(&text), Form::Base64),
        };
        document
            .map(|document| Self { document, form })
            .ok_or_else(|| malformed("it is neither CBOR nor hexadecimal nor base64 text"))
    }
}

/// Reads base64 of either alphabet, padded or not.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?.trim_end_matches('=');
    Base64Unpadded::decode_vec(text)
        .or_else(|_| Base64UrlUnpadded::decode_vec(text))
        .ok()
}

fn malformed(why: impl fmt::Display) -> CliError {
    CliError::new(
        CliCode::DocumentMalformed,
        format!("the input is no attestation document: {why}"),
        "Pass the document as CBOR, or as hexadecimal or base64 text of it, and nothing else.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Option<(Form, Vec<u8>)> {
        let input = Input::of(bytes.to_vec()).ok()?;
        Some((input.form, input.document))
    }

    #[test]
    fn a_document_is_read_in_each_form_whatever_it_begins_with() {
        for document in [
            [
                0x84, 0x44, 0xa1, 1, 0x38, 0x22, 0xa0, 0xfb, 0xef, 0xbe, 0x0a,
            ],
            [
                0x9f, 0x44, 0xa1, 1, 0x38, 0x22, 0xa0, 0xff, 0xff, 0xff, 0x20,
            ],
            [0xd2, 0x84, 0x44, 0xa1, 1, 0x38, 0x22, 0xa0, 0, 0x10, 0x83],
        ] {
            let hexadecimal = Some((Form::Hexadecimal, document.to_vec()));
            let base64 = Some((Form::Base64, document.to_vec()));
            assert_eq!(read(&document), Some((Form::Cbor, document.to_vec())));
            let digits = hex::encode(document);
            assert_eq!(read(digits.as_bytes()), hexadecimal);
            assert_eq!(read(digits.to_uppercase().as_bytes()), hexadecimal);
            assert_eq!(read(format!("0x{digits}\n").as_bytes()), hexadecimal);
            let lines = format!("{}\r\n  {} {}", &digits[..8], &digits[8..9], &digits[9..]);
            assert_eq!(read(lines.as_bytes()), hexadecimal);
            let standard = base64ct::Base64::encode_string(&document);
            let for_urls = Base64UrlUnpadded::encode_string(&document);
            assert_eq!(read(standard.as_bytes()), base64);
            assert_eq!(read(for_urls.as_bytes()), base64);
            let lines = format!("{}\n{}\n", &standard[..5], &standard[5..]);
            assert_eq!(read(lines.as_bytes()), base64);
        }
    }

    #[test]
    fn what_is_no_document_in_any_form_is_refused() {
        for bytes in [
            &b""[..],
            b" \n",
            b"hello, world",
            b"0x8",
            b"{\"document\":1}",
            b"abcde",
        ] {
            let error = Input::of(bytes.to_vec()).unwrap_err();
            assert_eq!(error.code, "document_malformed", "{bytes:?}");
        }
    }

    #[test]
    fn more_than_any_document_in_any_form_is_not_read() {
        let longest = vec![b'a'; MAX_INPUT_LEN];
        assert!(Input::of(longest.clone()).is_ok());
        let error = Input::of([longest, vec![b'a']].concat()).unwrap_err();
        assert!(error.message.contains("more than"), "{error}");
    }
}
