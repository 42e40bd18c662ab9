//! ECDSA signatures as authenticators encode them: DER, strictly.

/// Reads `SEQUENCE { r INTEGER, s INTEGER }` of P-256; returns `r || s`.
///
/// `None` for whatever is not the one encoding of two positive numbers of at most 32 bytes.
pub(super) fn p256_signature(bytes: &[u8]) -> Option<[u8; 64]> {
    let (body, after) = element(0x30, bytes)?;
    let (r, rest) = element(0x02, body)?;
    let (s, none) = element(0x02, rest)?;
    if !after.is_empty() || !none.is_empty() {
        return None;
    }
    let mut signature = [0; 64];
    let (left, right) = signature.split_at_mut(32);
    write(r, left)?;
    write(s, right)?;
    Some(signature)
}

/// Reads an element whose length takes one byte, as all of these do.
fn element(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [first, len, rest @ ..] = bytes else {
        return None;
    };
    (*first == tag && *len < 0x80).then_some(())?;
    rest.split_at_checked(usize::from(*len))
}

/// Writes a number, without the zero that makes it positive, to the right end of `target`.
fn write(integer: &[u8], target: &mut [u8]) -> Option<()> {
    let digits = match integer {
        // Negative, or empty.
        [0x80..=0xff, ..] | [] => return None,
        // A leading zero is there only where the number would else be negative.
        [0, rest @ ..] => rest.first().filter(|next| **next >= 0x80).map(|_| rest)?,
        digits => digits,
    };
    let start = target.len().checked_sub(digits.len())?;
    target.get_mut(start..)?.copy_from_slice(digits);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        p256_signature(&hex::decode(text).unwrap()).map(hex::encode)
    }

    #[test]
    fn numbers_are_aligned_and_lose_their_sign_byte() {
        let expected = format!("{}01{}80", "00".repeat(31), "00".repeat(31));
        assert_eq!(read("300702010102020080"), Some(expected));
        let full = format!("30460221 00{0} 0221 00{0}", "ff".repeat(32)).replace(' ', "");
        assert_eq!(read(&full), Some("ff".repeat(64)));
    }

    #[test]
    fn a_second_encoding_of_the_same_numbers_is_refused() {
        for text in [
            "",
            "30",
            "3000",
            "30060201010201",
            "3006020101020101ff",
            "3007020101020101",
            "300702010102020001",
            "3006020101020181",
            "30060201010201",
            "3005020101020",
            "308106020101020101",
            "3080020101020101",
            "3006020101030101",
            "3106020101020101",
            "30050201010200",
            "3009020101020101020101",
        ] {
            if let Ok(bytes) = hex::decode(text) {
                assert_eq!(p256_signature(&bytes), None, "{text}");
            }
        }
        let long = format!("30270221{}020101", "01".repeat(33));
        assert_eq!(read(&long), None);
        assert!(read("3006020101020101").is_some());
    }
}
