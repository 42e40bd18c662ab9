//! Amounts of native coin, as people write them.

use alloy_primitives::U256;

/// Units and their decimals.
const UNITS: [(&str, usize); 4] = [("gwei", 9), ("wei", 0), ("ether", 18), ("eth", 18)];

/// Reads `0.1ether`, `20gwei`, `5wei`, or a number of wei.
///
/// # Errors
///
/// What is wrong, as a sentence. A fraction without a unit is refused: nobody sends half a wei.
pub(crate) fn parse_value(text: &str) -> Result<U256, String> {
    let (digits, decimals) = UNITS
        .iter()
        .find_map(|(unit, decimals)| Some((text.strip_suffix(unit)?, *decimals)))
        .unwrap_or((text, 0));
    let digits = digits.trim_end();
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return Err(wrong(text)),
        None => (digits, ""),
    };
    if whole.is_empty()
        || !whole
            .bytes()
            .chain(fraction.bytes())
            .all(|b| b.is_ascii_digit())
    {
        return Err(wrong(text));
    }
    let Some(zeros) = decimals.checked_sub(fraction.len()) else {
        return Err(format!("\"{text}\" has more decimals than its unit"));
    };
    let all = format!("{whole}{fraction}{}", "0".repeat(zeros));
    U256::from_str_radix(&all, 10).map_err(|_| format!("\"{text}\" is more than there can be"))
}

fn wrong(text: &str) -> String {
    format!("\"{text}\" is not an amount: write 0.1ether, 20gwei, 5wei, or a number of wei")
}

/// Writes wei as coin, without trailing zeros.
pub(crate) fn in_coin(wei: U256) -> String {
    let digits = format!("{wei:0>19}");
    let (whole, fraction) = digits.split_at(digits.len() - 18);
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        let wei = |n: u128| Ok(U256::from(n));
        assert_eq!(parse_value("0"), wei(0));
        assert_eq!(parse_value("7"), wei(7));
        assert_eq!(parse_value("5wei"), wei(5));
        assert_eq!(parse_value("20gwei"), wei(20_000_000_000));
        assert_eq!(parse_value("0.1ether"), wei(100_000_000_000_000_000));
        assert_eq!(parse_value("0.1 eth"), wei(100_000_000_000_000_000));
        assert_eq!(
            parse_value("1.000000000000000001ether"),
            wei(1_000_000_000_000_000_001)
        );
        assert_eq!(parse_value(&U256::MAX.to_string()), Ok(U256::MAX));
    }

    #[test]
    fn what_could_be_misread_is_refused() {
        let more = format!("{}ether", U256::MAX);
        for bad in [
            "",
            "-1",
            "+1",
            "1e18",
            "0.5",
            "1.",
            ".5ether",
            "1,5ether",
            "1_000",
            "0x10",
            "ether",
            "1.0000000000000000001ether",
            "1.2.3ether",
            "1 2",
            "１ether",
            &more,
        ] {
            assert!(parse_value(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn coin_is_written_without_zeros_at_the_end() {
        for (wei, coin) in [
            (0_u64, "0"),
            (1, "0.000000000000000001"),
            (1_500_000_000_000_000_000, "1.5"),
            (12_000_000_000_000_000_000, "12"),
        ] {
            assert_eq!(in_coin(U256::from(wei)), coin);
        }
    }
}
