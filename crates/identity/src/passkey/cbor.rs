//! The CBOR of authenticators: CTAP2's canonical form, and no more of it.
//!
//! A cursor over a slice, which never recurses and reserves no memory by a length it read. Definite
//! lengths and shortest forms only (CTAP 2.1 section 8), so that nothing has two spellings.

/// Why bytes are not what an authenticator encodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// They end too early.
    #[error("the CBOR is cut off")]
    Truncated,
    /// Something stands after the item.
    #[error("bytes follow the CBOR item")]
    TrailingBytes,
    /// A number, length or container in a form that is not the canonical one.
    #[error("the CBOR is not in canonical form")]
    NotCanonical,
    /// Another type than the one that belongs here.
    #[error("the CBOR has another type than expected")]
    UnexpectedType,
    /// Too long, or nested too deeply.
    #[error("the CBOR is too large or too deep")]
    TooLarge,
}

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const SIMPLE: u8 = 7;

/// CTAP 2.1 section 8 allows four levels.
const MAX_DEPTH: usize = 4;

/// A cursor over encoded items.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn finish(self) -> Result<(), CborError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(CborError::TrailingBytes)
        }
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads an integer of either sign.
    pub(super) fn integer(&mut self) -> Result<i64, CborError> {
        let (major, number) = self.head()?;
        let number = i64::try_from(number).map_err(|_| CborError::TooLarge)?;
        match major {
            UNSIGNED => Ok(number),
            NEGATIVE => Ok(-1 - number),
            _ => Err(CborError::UnexpectedType),
        }
    }

    /// Reads a byte string.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], CborError> {
        let len = self.expect(BYTES)?;
        self.take(len)
    }

    /// Reads a text string.
    pub(super) fn text(&mut self) -> Result<&'a str, CborError> {
        let len = self.expect(TEXT)?;
        core::str::from_utf8(self.take(len)?).map_err(|_| CborError::NotCanonical)
    }

    /// Reads the head of a map; returns the number of its pairs.
    pub(super) fn map(&mut self) -> Result<u64, CborError> {
        self.expect(MAP)
    }

    /// Skips one whole item, whatever it is.
    pub(super) fn skip(&mut self) -> Result<(), CborError> {
        // Items that are still to be read, at each level.
        let mut open = vec![1_u64];
        while let Some(left) = open.last_mut() {
            let Some(less) = left.checked_sub(1) else {
                open.pop();
                continue;
            };
            *left = less;
            let (major, number) = self.head()?;
            let inside = match major {
                UNSIGNED | NEGATIVE | SIMPLE => 0,
                BYTES => {
                    self.take(number)?;
                    0
                }
                TEXT => {
                    let text = self.take(number)?;
                    core::str::from_utf8(text).map_err(|_| CborError::NotCanonical)?;
                    0
                }
                ARRAY => number,
                MAP => number.checked_mul(2).ok_or(CborError::Truncated)?,
                // CTAP2 has no tags.
                _ => return Err(CborError::NotCanonical),
            };
            if inside > 0 {
                // Every item takes a byte at least.
                if inside > self.rest.len() as u64 {
                    return Err(CborError::Truncated);
                }
                if open.len() > MAX_DEPTH {
                    return Err(CborError::TooLarge);
                }
                open.push(inside);
            }
        }
        Ok(())
    }

    fn expect(&mut self, wanted: u8) -> Result<u64, CborError> {
        let (major, number) = self.head()?;
        if major == wanted {
            Ok(number)
        } else {
            Err(CborError::UnexpectedType)
        }
    }

    /// Reads the head of an item: its major type and its number.
    fn head(&mut self) -> Result<(u8, u64), CborError> {
        let (first, rest) = self.rest.split_first().ok_or(CborError::Truncated)?;
        self.rest = rest;
        let major = first >> 5;
        let (width, least) = match first & 0x1f {
            small @ 0..=23 => return Ok((major, u64::from(small))),
            // Floating point numbers and long simple values have no place here.
            _ if major == SIMPLE || major == TAG => return Err(CborError::NotCanonical),
            24 => (1, 24),
            25 => (2, 1 << 8),
            26 => (4, 1 << 16),
            27 => (8, 1 << 32),
            _ => return Err(CborError::NotCanonical),
        };
        let number = self
            .take(width)?
            .iter()
            .fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
        if number < least {
            return Err(CborError::NotCanonical);
        }
        Ok((major, number))
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8], CborError> {
        let len = usize::try_from(len).map_err(|_| CborError::Truncated)?;
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(CborError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integer(text: &str) -> Result<i64, CborError> {
        let bytes = hex::decode(text).unwrap();
        let mut reader = Reader::new(&bytes);
        let value = reader.integer()?;
        reader.finish().map(|()| value)
    }

    fn skipped(text: &str) -> Result<(), CborError> {
        let bytes = hex::decode(text).unwrap();
        let mut reader = Reader::new(&bytes);
        reader.skip()?;
        reader.finish()
    }

    #[test]
    fn integers_of_rfc_8949_appendix_a() {
        for (text, value) in [
            ("00", 0),
            ("17", 23),
            ("1818", 24),
            ("1903e8", 1_000),
            ("1a000f4240", 1_000_000),
            ("1b000000e8d4a51000", 1_000_000_000_000),
            ("20", -1),
            ("3863", -100),
            ("390100", -257),
        ] {
            assert_eq!(integer(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn overlong_and_indefinite_forms_are_refused() {
        for text in [
            "1817",
            "190017",
            "1a00000017",
            "1b0000000000000017",
            "3800",
            "1f",
            "1c",
        ] {
            assert_eq!(integer(text), Err(CborError::NotCanonical), "{text}");
        }
        for text in [
            "5fff",
            "7fff",
            "9fff",
            "bfff",
            "f97e00",
            "fa47c35000",
            "f818",
            "c000",
            "61ff",
        ] {
            assert_eq!(skipped(text), Err(CborError::NotCanonical), "{text}");
        }
        assert_eq!(integer("1bffffffffffffffff"), Err(CborError::TooLarge));
        assert_eq!(integer("0000"), Err(CborError::TrailingBytes));
        assert_eq!(integer("6161"), Err(CborError::UnexpectedType));
    }

    #[test]
    fn a_length_that_is_not_there_reserves_nothing() {
        for text in [
            "",
            "18",
            "5b7fffffffffffffff",
            "9b7fffffffffffffff",
            "bbffffffffffffffff",
            "8200",
            "a100",
            "4100",
        ] {
            let wanted = if text == "4100" {
                Ok(())
            } else {
                Err(CborError::Truncated)
            };
            assert_eq!(skipped(text), wanted, "{text}");
        }
    }

    #[test]
    fn nesting_ends_at_four_levels() {
        assert_eq!(skipped("8181818100"), Ok(()));
        assert_eq!(skipped("818181818100"), Err(CborError::TooLarge));
        assert_eq!(skipped(&"81".repeat(100_000)), Err(CborError::TooLarge));
        assert_eq!(
            skipped("a2616101616282020383f5f6"),
            Err(CborError::TrailingBytes)
        );
        assert_eq!(skipped("a26161016162820203"), Ok(()));
    }
}
