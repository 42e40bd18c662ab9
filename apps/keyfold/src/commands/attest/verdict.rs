//! Whether a genuine enclave made a document, and whether it is what was demanded.

use std::collections::BTreeMap;

use keyfold_attest::audit::{AuditedDocument, Code, Demands, examine};
use keyfold_attest::danger::policy_that_trusts_debug_enclaves;
use keyfold_attest::{MeasurementPolicy, Pcr, TrustRoot};
use serde_json::{Value, json};

use super::input::Input;
use super::view::{View, utc_ms};
use super::{refused, trust, warnings_of};
use crate::args::{AttestVerify, HexBytes};
use crate::error::CliError;
use crate::output::Report;

/// Where an enclave of Keyfold puts its realm.
const REALM_PCR: u8 = 16;

pub(super) fn verify(
    arguments: &AttestVerify,
    clock: impl FnOnce() -> Result<u64, CliError>,
) -> Result<Report, CliError> {
    let asked = Asked::of(arguments)?;
    let root = trust::root(arguments.root.as_deref())?;
    let at_ms = arguments.at.map_or_else(clock, Ok)?;
    let input = Input::read(&arguments.document.file)?;
    let audited = examine(&input.document, &root, &asked.demands(arguments, at_ms))
        .map_err(|error| refused(error, &input.document))?;
    Ok(Verdict {
        arguments,
        asked: &asked,
        root: &root,
        at_ms,
        input: &input,
        audited: &audited,
    }
    .report())
}

/// What the arguments demand, with the files they name.
struct Asked {
    images: Option<MeasurementPolicy>,
    pcrs: BTreeMap<u8, Pcr>,
    public_key: Option<HexBytes>,
}

impl Asked {
    /// Reads the demands, and refuses to go on where nobody said how fresh and which code.
    fn of(arguments: &AttestVerify) -> Result<Self, CliError> {
        if arguments.nonce.is_none() && !arguments.any_nonce {
            return Err(CliError::usage(
                "it is not said which nonce the document must answer",
                "Use --nonce with the challenge that you sent, or --any-nonce where somebody else \
                 asked for the document: nothing proves then that it is fresh.",
            ));
        }
        let pcrs = pcrs(arguments)?;
        if arguments.measurements.is_none() && !arguments.any_code && !name_code(&pcrs) {
            return Err(CliError::usage(
                "it is not said which code the enclave may run",
                "Use --measurements, or --pcr with 0, with 1 and 2, or with 8, or --any-code: nothing \
                 says then what the enclave does.",
            ));
        }
        let images = arguments.measurements.as_deref();
        let images = images.map(trust::measurements).transpose()?;
        let public_key = arguments.public_key.as_deref();
        Ok(Self {
            images: images.map(|images| match arguments.allow_debug {
                // Nothing is entrusted to the enclave here; the verdict says it aloud.
                true => policy_that_trusts_debug_enclaves(images),
                false => MeasurementPolicy::new(images),
            }),
            pcrs,
            public_key: public_key.map(trust::public_key).transpose()?,
        })
    }

    fn demands<'a>(&'a self, arguments: &'a AttestVerify, at_ms: u64) -> Demands<'a> {
        let defaults = Demands::new(at_ms);
        Demands {
            nonce: arguments.nonce.as_ref(),
            max_age_ms: arguments.max_age.unwrap_or(defaults.max_age_ms),
            code: match &self.images {
                Some(images) => Code::OneOf(images),
                None => Code::Any {
                    allow_debug: arguments.allow_debug,
                },
            },
            pcrs: self.pcrs.clone(),
            user_data: bytes(arguments.user_data.as_ref()),
            public_key: bytes(self.public_key.as_ref()),
            ..defaults
        }
    }
}

fn bytes(given: Option<&HexBytes>) -> Option<&[u8]> {
    given.map(|HexBytes(bytes)| bytes.as_slice())
}

fn pcrs(arguments: &AttestVerify) -> Result<BTreeMap<u8, Pcr>, CliError> {
    let realm = arguments.pcr16.map(|pcr| (REALM_PCR, pcr));
    let mut pcrs = BTreeMap::new();
    for (index, pcr) in arguments.pcr.iter().copied().chain(realm) {
        if pcrs.insert(index, pcr).is_some() {
            return Err(CliError::usage(
                format!("PCR{index} is demanded twice"),
                "Name each register once.",
            ));
        }
    }
    Ok(pcrs)
}

/// Whether registers say which code runs: the image, its two parts, or who signed it. PCR1 alone is
/// the kernel, which many images share, and the others are about where it runs.
fn name_code(pcrs: &BTreeMap<u8, Pcr>) -> bool {
    let has = |index| pcrs.contains_key(&index);
    has(0) || (has(1) && has(2)) || has(8)
}

struct Verdict<'a> {
    arguments: &'a AttestVerify,
    asked: &'a Asked,
    root: &'a TrustRoot,
    at_ms: u64,
    input: &'a Input,
    audited: &'a AuditedDocument,
}

impl Verdict<'_> {
    fn is_aws(&self) -> bool {
        *self.root == TrustRoot::aws_nitro()
    }

    fn report(&self) -> Report {
        let document = self.audited.content();
        let view = View::of(document, self.arguments.document.all);
        let warnings = self.warnings();
        let mut lines: Vec<String> = warnings.iter().map(|it| format!("WARNING: {it}")).collect();
        lines.extend([
            format!("verified    {}", self.in_one_sentence()),
            format!(
                "root        sha256 {}",
                hex::encode(self.root.fingerprint())
            ),
            format!("at          {}", utc_ms(self.at_ms)),
            format!("holds until {}", utc_ms(self.audited.valid_until_ms())),
            format!("compared    {}", self.compared().join(", ")),
            format!("read        {}", self.input),
        ]);
        lines.extend(view.lines());
        Report::new(
            lines.join("\n"),
            json!({
                "verified": true,
                "warnings": warnings,
                "root": {
                    "sha256": hex::encode(self.root.fingerprint()),
                    "aws_nitro": self.is_aws(),
                },
                "at": utc_ms(self.at_ms),
                "at_ms": self.at_ms,
                "valid_until_ms": self.audited.valid_until_ms(),
                "fresh": self.audited.answers_nonce(),
                "code_checked": self.code_checked(),
                "compared": self.compared_json(),
                "input": self.input.to_json(),
                "document": view.to_json(),
            }),
        )
    }

    fn in_one_sentence(&self) -> &'static str {
        match self.is_aws() {
            true => "a Nitro enclave's signature and chain, up to AWS's root",
            false => "signature and chain, up to a root that is NOT AWS's",
        }
    }

    /// In debug mode registers say nothing of the code, whatever was compared.
    fn code_checked(&self) -> bool {
        let demanded = self.asked.images.is_some() || name_code(&self.asked.pcrs);
        demanded && !self.audited.content().claims_debug()
    }

    /// What the outcome is not worth, in the order of what it costs.
    fn warnings(&self) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        if !self.is_aws() {
            warnings.push(
                "THE ROOT IS NOT AWS'S: whoever has its key makes up enclaves that do not exist",
            );
        }
        warnings.extend(warnings_of(self.audited.content()));
        if !self.code_checked() {
            warnings.push("THE CODE WAS NOT CHECKED: the enclave may run anything");
        }
        if !self.audited.answers_nonce() {
            warnings.push(
                "FRESHNESS IS NOT PROVEN: no nonce was demanded, so anybody may have kept this document",
            );
        }
        warnings
    }

    fn compared(&self) -> Vec<String> {
        let named = |is: bool, name: &str| is.then(|| name.to_owned());
        let images = self.asked.images.as_ref();
        let pcrs = self.asked.pcrs.keys().map(|index| format!("PCR{index}"));
        let compared: Vec<_> = named(self.audited.answers_nonce(), "nonce")
            .into_iter()
            .chain(images.map(|images| format!("{} approved images", images.allowed().len())))
            .chain(pcrs)
            .chain(named(self.arguments.user_data.is_some(), "user data"))
            .chain(named(self.asked.public_key.is_some(), "public key"))
            .collect();
        match compared.is_empty() {
            true => vec!["nothing of what it says".to_owned()],
            false => compared,
        }
    }

    fn compared_json(&self) -> Value {
        json!({
            "nonce": self.audited.answers_nonce(),
            "measurements": self.asked.images.as_ref().map(|images| images.allowed().len()),
            "pcrs": self.asked.pcrs.keys().collect::<Vec<_>>(),
            "user_data": self.arguments.user_data.is_some(),
            "public_key": self.asked.public_key.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_name_code_where_they_fix_the_image_its_parts_or_its_signer() {
        for (indices, code) in [
            (&[][..], false),
            (&[0], true),
            (&[1], false),
            (&[2], false),
            (&[1, 2], true),
            (&[3, 4], false),
            (&[8], true),
            (&[16], false),
        ] {
            let pcrs = indices.iter().map(|index| (*index, [1; 48])).collect();
            assert_eq!(name_code(&pcrs), code, "{indices:?}");
        }
    }
}
