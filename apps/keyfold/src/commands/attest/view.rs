//! What a document says, for people and for programs.

use keyfold_attest::Pcr;
use keyfold_attest::danger::{ClaimedCertificate, UnverifiedDocument};
use serde_json::{Map, Value, json};

use crate::output::{printable, utc};

const ES384: i64 = -35;

pub(super) struct View<'a> {
    document: &'a UnverifiedDocument,
    /// Registers of zeros are shown too.
    all: bool,
}

impl<'a> View<'a> {
    pub(super) fn of(document: &'a UnverifiedDocument, all: bool) -> Self {
        Self { document, all }
    }

    fn pcrs(&self) -> impl Iterator<Item = (u8, &Pcr)> {
        let all = self.document.pcrs().iter();
        all.filter(|(_, pcr)| self.all || !is_zero(pcr))
            .map(|(index, pcr)| (*index, pcr))
    }

    fn zero_pcrs(&self) -> Vec<u8> {
        let all = self.document.pcrs().iter();
        all.filter(|(_, pcr)| is_zero(pcr))
            .map(|(index, _)| *index)
            .collect()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let document = self.document;
        let mut lines = vec![
            format!("module      {}", printable(document.module_id())),
            format!(
                "made        {} ({} ms since 1970)",
                utc_ms(document.timestamp_ms()),
                document.timestamp_ms()
            ),
            format!("algorithm   {}", algorithm(document.algorithm())),
        ];
        lines.extend(
            self.pcrs()
                .map(|(index, pcr)| format!("{:<11} {}", format!("PCR{index}"), hex::encode(pcr))),
        );
        let zeros = self.zero_pcrs();
        if !self.all && !zeros.is_empty() {
            let zeros: Vec<_> = zeros.iter().map(ToString::to_string).collect();
            lines.push(format!("PCRs of 0   {}", zeros.join(", ")));
        }
        for (name, bytes) in self.fields() {
            lines.push(format!("{name:<11} {}", in_words(bytes)));
        }
        for (position, certificate) in document.certificates().iter().enumerate() {
            lines.extend(certificate_lines(position, certificate));
        }
        lines
    }

    fn fields(&self) -> [(&'static str, Option<&[u8]>); 3] {
        [
            ("public key", self.document.public_key()),
            ("user data", self.document.user_data()),
            ("nonce", self.document.nonce()),
        ]
    }

    pub(super) fn to_json(&self) -> Value {
        let document = self.document;
        let pcrs: Map<String, Value> = self
            .pcrs()
            .map(|(index, pcr)| (index.to_string(), json!(hex::encode(pcr))))
            .collect();
        let certificates = document.certificates();
        let certificates: Vec<_> = certificates.iter().map(certificate_json).collect();
        let fields = self.fields().map(|(_, bytes)| bytes_json(bytes));
        let [public_key, user_data, nonce] = fields;
        json!({
            "module_id": document.module_id(),
            "time": utc_ms(document.timestamp_ms()),
            "time_ms": document.timestamp_ms(),
            "cose_algorithm": document.algorithm(),
            "signed": document.has_signature(),
            "debug_mode": document.claims_debug(),
            "pcrs": pcrs,
            "zero_pcrs": self.zero_pcrs(),
            "public_key": public_key,
            "user_data": user_data,
            "nonce": nonce,
            "certificates": certificates,
        })
    }
}

fn is_zero(pcr: &Pcr) -> bool {
    pcr.iter().all(|byte| *byte == 0)
}

fn algorithm(number: i64) -> String {
    match number {
        ES384 => format!("ES384 ({number})"),
        other => format!("{other}, which no Nitro enclave uses"),
    }
}

/// The bytes as text, where every character of it can be seen.
fn as_text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes)
        .ok()
        .filter(|text| !text.trim().is_empty() && printable(text) == *text)
}

fn in_words(bytes: Option<&[u8]>) -> String {
    match bytes {
        None => "none".to_owned(),
        Some([]) => "empty".to_owned(),
        Some(bytes) => {
            let text = as_text(bytes).map(|text| format!(" (\"{text}\")"));
            hex::encode(bytes) + &text.unwrap_or_default()
        }
    }
}

fn bytes_json(bytes: Option<&[u8]>) -> Value {
    bytes.map_or(
        Value::Null,
        |bytes| json!({ "hex": hex::encode(bytes), "text": as_text(bytes) }),
    )
}

fn certificate_lines(position: usize, certificate: &ClaimedCertificate) -> Vec<String> {
    let head = format!(
        "certificate {position}, sha256 {}",
        hex::encode(certificate.sha256)
    );
    let Some(content) = &certificate.content else {
        return vec![head, "  is no certificate".to_owned()];
    };
    vec![
        head,
        format!("  subject   {}", printable(&content.subject)),
        format!("  issuer    {}", printable(&content.issuer)),
        format!(
            "  valid     {} to {}",
            utc(content.not_before_seconds),
            utc(content.not_after_seconds)
        ),
    ]
}

fn certificate_json(certificate: &ClaimedCertificate) -> Value {
    let sha256 = hex::encode(certificate.sha256);
    match &certificate.content {
        None => json!({ "sha256": sha256, "malformed": true }),
        Some(content) => json!({
            "sha256": sha256,
            "subject": content.subject,
            "issuer": content.issuer,
            "not_before": utc(content.not_before_seconds),
            "not_after": utc(content.not_after_seconds),
        }),
    }
}

/// Writes milliseconds since 1970 as a time in UTC.
pub(super) fn utc_ms(unix_ms: u64) -> String {
    use time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_else(|| "a time that no calendar has".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds_and_the_ends_of_time_do_no_harm() {
        assert_eq!(utc_ms(1_665_651_482_136), "2022-10-13T08:58:02.136Z");
        assert_eq!(utc_ms(u64::MAX), "a time that no calendar has");
    }

    #[test]
    fn bytes_are_text_too_where_all_of_it_can_be_seen() {
        assert_eq!(
            in_words(Some(b"user data")),
            "757365722064617461 (\"user data\")"
        );
        for bytes in [
            &b"\xff"[..],
            b"\x1b[2J",
            b"a\nb",
            b"  ",
            "a\u{202e}b".as_bytes(),
        ] {
            assert_eq!(in_words(Some(bytes)), hex::encode(bytes));
            assert_eq!(bytes_json(Some(bytes))["text"], Value::Null);
        }
        assert_eq!(in_words(Some(b"")), "empty");
        assert_eq!(in_words(None), "none");
        assert_eq!(bytes_json(None), Value::Null);
        assert_eq!(bytes_json(Some(b""))["hex"], "");
    }
}
