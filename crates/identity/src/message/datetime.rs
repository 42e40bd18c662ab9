//! Points in time as messages write them: RFC 3339.

/// Reads a time; returns its Unix second, what is below it cut off.
///
/// `None` for whatever is not RFC 3339 with a capital `T`, and `Z` or an offset; for a day that
/// does not exist; for a leap second; for a time before 1970.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let (date, time) = text.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let zone_at = time.find(['Z', '+', '-'])?;
    let (clock, zone) = time.split_at_checked(zone_at)?;
    let (whole, fraction) = match clock.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (clock, None),
    };
    let [hour, minute, second] = numbers(whole, ':', [2, 2, 2])?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if fraction.is_some_and(|text| !(1..=9).contains(&text.len()) || !digits(text)) {
        return None;
    }
    if !(1..=12).contains(&month) || day == 0 || day > days_in(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let offset = match zone.split_at_checked(1)? {
        ("Z", "") => 0,
        (sign, offset) => {
            let [hours, minutes] = numbers(offset, ':', [2, 2])?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = (hours * 60 + minutes) * 60;
            if sign == "+" { seconds } else { -seconds }
        }
    };
    let seconds = ((days_before(year, month) + day - 1) * 24 + hour) * 3600 + minute * 60 + second;
    u64::try_from(seconds - offset).ok()
}

/// Reads numbers of these widths, with a separator between them.
fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut read = [0; N];
    for (target, width) in read.iter_mut().zip(widths) {
        let part = parts.next()?;
        if part.len() != width || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *target = part.parse().ok()?;
    }
    parts.next().is_none().then_some(read)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the beginning of 1970 to that of the month.
fn days_before(year: i64, month: i64) -> i64 {
    let years = year - 1;
    // 719,162 days lie between the years 1 and 1970 of the Gregorian calendar.
    let days = years * 365 + years / 4 - years / 100 + years / 400 - 719_162;
    days + (1..month)
        .map(|earlier| days_in(year, earlier))
        .sum::<i64>()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn times_of_rfc_3339_section_5_8_and_others() {
        for (text, second) in [
            ("1985-04-12T23:20:50.52Z", 482_196_050),
            ("1996-12-19T16:39:57-08:00", 851_042_397),
            ("1937-01-01T12:00:27.87+00:20", u64::MAX),
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T00:00:00Z", 951_782_400),
            ("2021-09-30T16:25:24Z", 1_633_019_124),
            ("2027-01-15T08:00:00.000Z", 1_800_000_000),
            ("2027-01-15T08:00:00+00:00", 1_800_000_000),
            ("2027-01-15T13:30:00+05:30", 1_800_000_000),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            let wanted = (second != u64::MAX).then_some(second);
            assert_eq!(parse(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "T",
            "2021-09-30",
            "2021-09-30T16:25:24",
            "2021-09-30 16:25:24Z",
            "2021-09-30t16:25:24z",
            "2021-9-30T16:25:24Z",
            "2021-13-01T00:00:00Z",
            "2021-00-01T00:00:00Z",
            "2021-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2021-04-31T00:00:00Z",
            "2021-04-00T00:00:00Z",
            "2021-09-30T24:00:00Z",
            "2021-09-30T16:60:24Z",
            "1990-12-31T23:59:60Z",
            "2021-09-30T16:25:24.Z",
            "2021-09-30T16:25:24.1234567890Z",
            "2021-09-30T16:25:24,5Z",
            "2021-09-30T16:25:24Zx",
            "2021-09-30T16:25:24+0530",
            "2021-09-30T16:25:24+24:00",
            "2021-09-30T16:25:24+-1:00",
            "+021-09-30T16:25:24Z",
            "12021-09-30T16:25:24Z",
            "1969-12-31T23:59:59Z",
            "2021-09-30T16:25Z",
            "2021-09-30T16:25:24:11Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
