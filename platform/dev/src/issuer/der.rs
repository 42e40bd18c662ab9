//! Just enough DER to write a certificate, sound or not.

use time::OffsetDateTime;

use super::IssuerError;

pub(super) const BOOLEAN_TRUE: &[u8] = &[0x01, 0x01, 0xff];

pub(super) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let [.., high, low] = content.len().to_be_bytes();
    match content.len() {
        0..0x80 => out.push(low),
        0x80..0x100 => out.extend_from_slice(&[0x81, low]),
        _ => out.extend_from_slice(&[0x82, high, low]),
    }
    out.extend_from_slice(content);
    out
}

pub(super) fn sequence(items: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &items.concat())
}

pub(super) fn set(items: &[&[u8]]) -> Vec<u8> {
    tlv(0x31, &items.concat())
}

pub(super) fn oid(content: &[u8]) -> Vec<u8> {
    tlv(0x06, content)
}

pub(super) fn octets(content: &[u8]) -> Vec<u8> {
    tlv(0x04, content)
}

pub(super) fn utf8(text: &str) -> Vec<u8> {
    tlv(0x0c, text.as_bytes())
}

/// A bit string of whole bytes.
pub(super) fn bits(content: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], content].concat())
}

/// A list of named bits in one byte, without the zeros at its end.
pub(super) fn named_bits(byte: u8) -> Vec<u8> {
    if byte == 0 {
        return tlv(0x03, &[0]);
    }
    // A byte has at most seven zeros at its end here.
    let unused = byte.trailing_zeros() as u8;
    tlv(0x03, &[unused, byte])
}

/// A number that is not negative, from its big-endian bytes.
pub(super) fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let start = bytes
        .iter()
        .position(|byte| *byte != 0)
        .unwrap_or(bytes.len());
    let digits = bytes.get(start..).unwrap_or_default();
    match digits.first() {
        Some(first) if *first < 0x80 => tlv(0x02, digits),
        _ => tlv(0x02, &[&[0], digits].concat()),
    }
}

/// A time as RFC 5280 wants it: with two digits of the year up to 2049, with four after.
pub(super) fn time(unix_seconds: u64) -> Result<Vec<u8>, IssuerError> {
    let seconds = i64::try_from(unix_seconds).map_err(|_| IssuerError::Time)?;
    let t = OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| IssuerError::Time)?;
    let rest = format!(
        "{:02}{:02}{:02}{:02}{:02}Z",
        u8::from(t.month()),
        t.day(),
        t.hour(),
        t.minute(),
        t.second()
    );
    Ok(if t.year() < 2050 {
        tlv(0x17, format!("{:02}{rest}", t.year() % 100).as_bytes())
    } else {
        tlv(0x18, format!("{:04}{rest}", t.year()).as_bytes())
    })
}
