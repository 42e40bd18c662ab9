//! Commands for whoever wants to know what an attestation document is worth.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use keyfold_attest::{Nonce, Pcr};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(super) const ATTEST_HELP: &str = "\
Examples:
  See what a document says, whoever wrote it:
    keyfold attest show document.cbor
  Verify one that you asked for yourself, with the nonce you sent:
    keyfold attest verify document.cbor --nonce 00112233445566778899aabbccddeeff \\
      --measurements measurements.json
  Verify one that somebody kept, at the time when it was made, for one image:
    keyfold attest verify document.b64 --any-nonce --at 2026-01-01T12:00:00Z --pcr 0=HEX
  For programs, from standard input:
    keyfold --json attest verify - --any-nonce --any-code < document.hex

Documents are read as CBOR, or as hexadecimal or base64 text of it. --measurements takes the JSON list
that holders have, or TOML with [[measurements]], as in a profile. Exit code 4: not verified, believe
nothing of it; 2: what was asked makes no sense.";

/// The greatest index of a register.
const MAX_PCR: u8 = 31;

/// What to do with a document.
#[derive(Debug, Subcommand)]
pub enum AttestCommand {
    /// What a document says. Nobody vouches for it: anybody can write such a document.
    #[command(after_help = "Example:\n  keyfold attest show document.cbor --all")]
    Show(AttestShow),
    /// Whether a genuine enclave made it, and meets what you demand.
    #[command(after_help = ATTEST_HELP)]
    Verify(Box<AttestVerify>),
}

/// Which document.
#[derive(Debug, Args)]
pub struct AttestShow {
    /// The document: CBOR, or hexadecimal or base64 text of it; - for standard input.
    pub file: PathBuf,
    /// Show registers of zeros too.
    #[arg(long)]
    pub all: bool,
}

/// Which document, and what is demanded of it.
#[derive(Debug, Args)]
pub struct AttestVerify {
    /// Which document.
    #[command(flatten)]
    pub document: AttestShow,
    /// The challenge that the document must answer.
    #[arg(long, value_name = "HEX", value_parser = nonce, conflicts_with = "any_nonce")]
    pub nonce: Option<Nonce>,
    /// Take any nonce or none: somebody else asked for it, and nothing proves that it is fresh.
    #[arg(long)]
    pub any_nonce: bool,
    /// Judge it at this time, RFC 3339 or Unix seconds; now where absent.
    #[arg(long, value_name = "TIME", value_parser = unix_ms)]
    pub at: Option<u64>,
    /// The greatest age: 90s, 10m, 2h, 1d. One hour where absent.
    #[arg(long, value_name = "DURATION", value_parser = duration_ms)]
    pub max_age: Option<u64>,
    /// A root certificate in place of AWS's, PEM or DER. Whoever has its key can make up enclaves.
    #[arg(long, value_name = "FILE")]
    pub root: Option<PathBuf>,
    /// A register, 0 to 31, and the value that it must have. May stand several times.
    #[arg(long, value_name = "N=HEX", value_parser = numbered_pcr)]
    pub pcr: Vec<(u8, Pcr)>,
    /// As --pcr 16=HEX: where an enclave of Keyfold puts its realm.
    #[arg(long, value_name = "HEX", value_parser = pcr)]
    pub pcr16: Option<Pcr>,
    /// The images that are approved; one of them must match.
    #[arg(long, value_name = "FILE", conflicts_with = "any_code")]
    pub measurements: Option<PathBuf>,
    /// Take any code: nothing says then what the enclave does.
    #[arg(long)]
    pub any_code: bool,
    /// The user data that it must hold.
    #[arg(long, value_name = "HEX", value_parser = hex_bytes)]
    pub user_data: Option<HexBytes>,
    /// The public key that it must hold, byte for byte: in hexadecimal, or a file of it (PEM gives
    /// its DER).
    #[arg(long, value_name = "HEX|FILE")]
    pub public_key: Option<String>,
    /// Take enclaves in debug mode too, whose host reads their memory.
    #[arg(long)]
    pub allow_debug: bool,
}

/// Bytes that were written in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HexBytes(pub Vec<u8>);

fn hex_bytes(text: &str) -> Result<HexBytes, &'static str> {
    hex::decode(text.strip_prefix("0x").unwrap_or(text))
        .map(HexBytes)
        .map_err(|_| "bytes are written as pairs of hexadecimal digits")
}

fn nonce(text: &str) -> Result<Nonce, String> {
    let HexBytes(bytes) = hex_bytes(text)?;
    Nonce::new(&bytes).map_err(|error| error.to_string())
}

fn pcr(text: &str) -> Result<Pcr, &'static str> {
    hex_bytes(text)
        .ok()
        .and_then(|HexBytes(bytes)| Pcr::try_from(bytes).ok())
        .ok_or("a register is written as 96 hexadecimal digits")
}

fn numbered_pcr(text: &str) -> Result<(u8, Pcr), String> {
    let (index, value) = text
        .split_once('=')
        .ok_or("write the register's number, =, and 96 hexadecimal digits")?;
    let digits = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
    let index = index
        .parse()
        .ok()
        .filter(|index| digits && *index <= MAX_PCR);
    let index = index.ok_or("registers are numbered 0 to 31")?;
    Ok((index, pcr(value)?))
}

fn unix_ms(text: &str) -> Result<u64, &'static str> {
    const WRONG: &str = "a time is written as 2026-01-01T12:00:00Z or in Unix seconds";
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds: u64 = text.parse().map_err(|_| WRONG)?;
        return seconds.checked_mul(1000).ok_or(WRONG);
    }
    let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| WRONG)?;
    u64::try_from(at.unix_timestamp_nanos() / 1_000_000).map_err(|_| WRONG)
}

fn duration_ms(text: &str) -> Result<u64, &'static str> {
    const WRONG: &str = "a duration is a number and s, m, h or d, such as 90s or 2h";
    let (number, unit_seconds) = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)]
        .into_iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))
        .ok_or(WRONG)?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(WRONG);
    }
    let number: u64 = number.parse().map_err(|_| WRONG)?;
    number
        .checked_mul(unit_seconds * 1000)
        .ok_or("that is longer than anybody waits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_forms() {
        let noon_ms = 1_767_268_800_000;
        for text in [
            "1767268800",
            "2026-01-01T12:00:00Z",
            "2026-01-01T13:00:00+01:00",
        ] {
            assert_eq!(unix_ms(text), Ok(noon_ms), "{text}");
        }
        assert_eq!(unix_ms("2026-01-01T12:00:00.136Z"), Ok(noon_ms + 136));
        for text in [
            "",
            "now",
            "-1",
            "+1",
            "1767268800.1",
            "2026-01-01",
            "2026-01-01T12:00:00",
            "1969-12-31T23:59:59Z",
            "99999999999999999999",
            "18446744073709552",
        ] {
            assert!(unix_ms(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_have_a_unit() {
        for (text, ms) in [
            ("0s", 0),
            ("90s", 90_000),
            ("10m", 600_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(duration_ms(text), Ok(ms), "{text}");
        }
        for text in [
            "",
            "s",
            "90",
            "-1s",
            "+1s",
            "1.5h",
            "1w",
            "1 h",
            "999999999999999999d",
        ] {
            assert!(duration_ms(text).is_err(), "{text}");
        }
    }

    #[test]
    fn registers_have_a_number_and_48_bytes() {
        let value = "ab".repeat(48);
        for (index, text) in [(0, "0"), (16, "16"), (31, "31")] {
            assert_eq!(
                numbered_pcr(&format!("{text}={value}")),
                Ok((index, [0xab; 48]))
            );
        }
        let upper = format!("8=0x{}", value.to_uppercase());
        assert_eq!(numbered_pcr(&upper), Ok((8, [0xab; 48])));
        for text in [
            value.clone(),
            format!("32={value}"),
            format!("-1={value}"),
            format!("+1={value}"),
            format!("={value}"),
            format!("0={}", &value[2..]),
            format!("0={value}ab"),
            format!("0={}g", &value[1..]),
            "0=".to_owned(),
        ] {
            assert!(numbered_pcr(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_nonce_that_is_blank_too_long_or_no_hexadecimal_is_refused() {
        assert_eq!(nonce("0x0aff").unwrap().as_bytes(), [0x0a, 0xff]);
        for text in ["", "0x", "20", "0g", "abc", &"ab".repeat(513)] {
            assert!(nonce(text).is_err(), "{text}");
        }
        assert_eq!(hex_bytes(""), Ok(HexBytes(Vec::new())));
    }
}
