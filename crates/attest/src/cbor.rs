//! The CBOR that attestation documents use, and no more of it.
//!
//! A cursor over a slice. It never recurses and never reserves memory by a length that it read:
//! every string is bounded by the caller's limit and by what is really there. Definite and
//! indefinite lengths are both read; numbers and lengths must be in their shortest form.

use crate::error::CborError;

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;

const NULL: u8 = 0xf6;
const BREAK: u8 = 0xff;
const INDEFINITE: u8 = 31;

/// How many items a container holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Count {
    Definite(u64),
    Indefinite,
}

/// A cursor over one encoded item.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Says that nothing is left.
    pub(crate) fn finish(self) -> Result<(), CborError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(CborError::TrailingBytes)
        }
    }

    /// Reads a tag if one stands here.
    pub(crate) fn tag(&mut self) -> Result<Option<u64>, CborError> {
        match self.rest.first() {
            Some(byte) if byte >> 5 == TAG => self.number(TAG).map(Some),
            _ => Ok(None),
        }
    }

    pub(crate) fn unsigned(&mut self) -> Result<u64, CborError> {
        self.number(UNSIGNED)
    }

    /// Reads an integer of either sign that fits an `i64`.
    pub(crate) fn integer(&mut self) -> Result<i64, CborError> {
        match self.rest.first() {
            Some(byte) if byte >> 5 == NEGATIVE => {
                let n = i64::try_from(self.number(NEGATIVE)?).map_err(|_| CborError::TooLong)?;
                Ok(-1 - n)
            }
            _ => i64::try_from(self.unsigned()?).map_err(|_| CborError::TooLong),
        }
    }

    /// Reads a byte string of at most `max` bytes.
    pub(crate) fn bytes(&mut self, max: usize) -> Result<Vec<u8>, CborError> {
        self.string(BYTES, max)
    }

    /// Reads a text string of at most `max` bytes.
    pub(crate) fn text(&mut self, max: usize) -> Result<String, CborError> {
        // A chunk must be UTF-8 by itself (RFC 8949, 3.2.3). A character cut by a chunk border
        // passes here all the same: that admits a second spelling of a signed text, never a
        // second meaning.
        String::from_utf8(self.string(TEXT, max)?).map_err(|_| CborError::NotUtf8)
    }

    pub(crate) fn array(&mut self) -> Result<Count, CborError> {
        self.container(ARRAY)
    }

    pub(crate) fn map(&mut self) -> Result<Count, CborError> {
        self.container(MAP)
    }

    /// Says whether another item of a container follows, given how many were read before.
    pub(crate) fn more(&mut self, count: Count, seen: u64) -> Result<bool, CborError> {
        match count {
            Count::Definite(all) => Ok(seen < all),
            Count::Indefinite => Ok(!self.take_if(BREAK)?),
        }
    }

    /// Reads `null` if it stands here.
    pub(crate) fn null(&mut self) -> Result<bool, CborError> {
        self.take_if(NULL)
    }

    fn take_if(&mut self, wanted: u8) -> Result<bool, CborError> {
        match self.rest.split_first() {
            Some((byte, rest)) if *byte == wanted => {
                self.rest = rest;
                Ok(true)
            }
            Some(_) => Ok(false),
            None => Err(CborError::Truncated),
        }
    }

    fn container(&mut self, major: u8) -> Result<Count, CborError> {
        Ok(if self.take_if(major << 5 | INDEFINITE)? {
            Count::Indefinite
        } else {
            Count::Definite(self.number(major)?)
        })
    }

    fn string(&mut self, major: u8, max: usize) -> Result<Vec<u8>, CborError> {
        let mut whole = Vec::new();
        if !self.take_if(major << 5 | INDEFINITE)? {
            self.chunk(major, max, &mut whole)?;
            return Ok(whole);
        }
        // Each turn consumes at least one byte, so empty chunks cannot keep the loop alive.
        while !self.take_if(BREAK)? {
            self.chunk(major, max, &mut whole)?;
        }
        Ok(whole)
    }

    fn chunk(&mut self, major: u8, max: usize, whole: &mut Vec<u8>) -> Result<(), CborError> {
        let len = usize::try_from(self.number(major)?).map_err(|_| CborError::TooLong)?;
        if len > max.saturating_sub(whole.len()) {
            return Err(CborError::TooLong);
        }
        whole.extend_from_slice(self.take(len)?);
        Ok(())
    }

    /// Reads the head of an item of type `major` and gives its number.
    fn number(&mut self, major: u8) -> Result<u64, CborError> {
        let (first, rest) = self.rest.split_first().ok_or(CborError::Truncated)?;
        if first >> 5 != major {
            return Err(CborError::UnexpectedType);
        }
        let (width, least) = match first & 0x1f {
            small @ 0..=23 => {
                self.rest = rest;
                return Ok(u64::from(small));
            }
            24 => (1, 24),
            25 => (2, 1 << 8),
            26 => (4, 1 << 16),
            27 => (8, 1 << 32),
            28..=30 => return Err(CborError::NotShortest),
            _ => return Err(CborError::UnexpectedType),
        };
        self.rest = rest;
        let number = self
            .take(width)?
            .iter()
            .fold(0u64, |n, byte| n << 8 | u64::from(*byte));
        if number < least {
            return Err(CborError::NotShortest);
        }
        Ok(number)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], CborError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(CborError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// Writes a byte string with a definite length.
pub(crate) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_head(out, BYTES, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn write_head(out: &mut Vec<u8>, major: u8, number: u64) {
    let major = major << 5;
    let [.., b4, b5, b6, b7] = number.to_be_bytes();
    match number {
        0..24 => out.push(major | b7),
        24..0x100 => out.extend_from_slice(&[major | 24, b7]),
        0x100..0x1_0000 => out.extend_from_slice(&[major | 25, b6, b7]),
        0x1_0000..0x1_0000_0000 => out.extend_from_slice(&[major | 26, b4, b5, b6, b7]),
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integer(bytes: &[u8]) -> Result<i64, CborError> {
        let mut reader = Reader::new(bytes);
        let value = reader.integer()?;
        reader.finish()?;
        Ok(value)
    }

    #[test]
    fn integers_of_rfc_8949_appendix_a() {
        for (bytes, value) in [
            ("00", 0),
            ("17", 23),
            ("1818", 24),
            ("18ff", 255),
            ("190100", 256),
            ("1a000f4240", 1_000_000),
            ("1b000000e8d4a51000", 1_000_000_000_000),
            ("20", -1),
            ("3822", -35),
            ("3903e7", -1000),
        ] {
            assert_eq!(integer(&hex::decode(bytes).unwrap()), Ok(value), "{bytes}");
        }
    }

    #[test]
    fn longer_forms_of_a_number_are_refused() {
        for bytes in [
            "1817",
            "1900ff",
            "1a0000ffff",
            "1b00000000ffffffff",
            "1c",
            "1d",
            "1e",
        ] {
            assert_eq!(
                integer(&hex::decode(bytes).unwrap()),
                Err(CborError::NotShortest),
                "{bytes}"
            );
        }
        assert_eq!(integer(&[0x1f]), Err(CborError::UnexpectedType));
        assert_eq!(
            integer(&[0x1b, 0xff, 0, 0, 0, 0, 0, 0, 0]),
            Err(CborError::TooLong)
        );
    }

    #[test]
    fn a_string_in_chunks_reads_like_a_whole_one() {
        let chunks = hex::decode("5f42010243030405ff").unwrap();
        assert_eq!(Reader::new(&chunks).bytes(5), Ok(vec![1, 2, 3, 4, 5]));
        assert_eq!(Reader::new(&chunks).bytes(4), Err(CborError::TooLong));
        let whole = hex::decode("450102030405").unwrap();
        assert_eq!(Reader::new(&whole).bytes(5), Ok(vec![1, 2, 3, 4, 5]));
        assert_eq!(Reader::new(&whole).bytes(4), Err(CborError::TooLong));
    }

    #[test]
    fn a_chunk_of_another_type_or_a_nested_one_is_refused() {
        for bytes in ["5f6161ff", "5f5f4101ffff", "7f4101ff"] {
            let bytes = hex::decode(bytes).unwrap();
            assert_eq!(
                Reader::new(&bytes).string(bytes[0] >> 5, 9),
                Err(CborError::UnexpectedType)
            );
        }
    }

    #[test]
    fn a_length_of_all_memory_is_refused_without_reserving_it() {
        for bytes in ["5bffffffffffffffff", "5affffffff"] {
            let bytes = hex::decode(bytes).unwrap();
            assert_eq!(Reader::new(&bytes).bytes(1024), Err(CborError::TooLong));
            assert!(matches!(
                Reader::new(&bytes).bytes(usize::MAX),
                Err(CborError::Truncated | CborError::TooLong)
            ));
        }
    }

    #[test]
    fn what_is_written_is_read_at_every_width() {
        for len in [0, 1, 23, 24, 255, 256, 65_535, 65_536] {
            let bytes = vec![7; len];
            let mut out = Vec::new();
            write_bytes(&mut out, &bytes);
            let mut reader = Reader::new(&out);
            assert_eq!(reader.bytes(len), Ok(bytes));
            assert_eq!(reader.finish(), Ok(()));
        }
    }
}
