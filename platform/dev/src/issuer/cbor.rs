//! Just enough CBOR to write a document, sound or not.

/// `null`.
pub const NULL: &[u8] = &[0xf6];

/// Writes the head of an item: its major type and number, in the shortest form.
pub fn head(major: u8, number: u64) -> Vec<u8> {
    let major = major << 5;
    let [b0, b1, b2, b3, b4, b5, b6, b7] = number.to_be_bytes();
    match number {
        0..24 => vec![major | b7],
        24..0x100 => vec![major | 24, b7],
        0x100..0x1_0000 => vec![major | 25, b6, b7],
        0x1_0000..0x1_0000_0000 => vec![major | 26, b4, b5, b6, b7],
        _ => vec![major | 27, b0, b1, b2, b3, b4, b5, b6, b7],
    }
}

/// Writes a number that is not negative.
pub fn unsigned(number: u64) -> Vec<u8> {
    head(0, number)
}

/// Writes an integer.
pub fn integer(number: i64) -> Vec<u8> {
    // `!n` is `-1 - n`, which is what CBOR stores of a negative `n`.
    if number < 0 {
        head(1, !number as u64)
    } else {
        head(0, number as u64)
    }
}

/// Writes a byte string.
pub fn bytes(content: &[u8]) -> Vec<u8> {
    [head(2, content.len() as u64), content.to_vec()].concat()
}

/// Writes a text string.
pub fn text(content: &str) -> Vec<u8> {
    [head(3, content.len() as u64), content.as_bytes().to_vec()].concat()
}

/// Writes an array of encoded items.
pub fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [head(4, items.len() as u64), items.concat()].concat()
}

/// Writes a map of encoded keys and values, of definite or indefinite length.
pub fn map(entries: &[(Vec<u8>, Vec<u8>)], indefinite: bool) -> Vec<u8> {
    let mut out = if indefinite {
        vec![0xbf]
    } else {
        head(5, entries.len() as u64)
    };
    for (key, value) in entries {
        out.extend_from_slice(key);
        out.extend_from_slice(value);
    }
    if indefinite {
        out.push(0xff);
    }
    out
}
