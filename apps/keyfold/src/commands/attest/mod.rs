//! Attestation documents: what they say, and whether that is to be believed.
//!
//! Nothing is done here on the strength of a document; it is told what it is worth. So an auditor
//! may name another root than AWS's, which no command that talks to an enclave allows.

mod input;
mod trust;
mod verdict;
mod view;

use std::time::{SystemTime, UNIX_EPOCH};

use keyfold_attest::danger::{UnverifiedDocument, inspect};
use keyfold_attest::{RefusalKind, VerifyError};
use serde_json::json;

use crate::args::{AttestCommand, AttestShow};
use crate::code::CliCode;
use crate::error::CliError;
use crate::output::Report;
use input::Input;
use view::View;

pub(crate) fn run(command: AttestCommand) -> Result<Report, CliError> {
    match command {
        AttestCommand::Show(arguments) => show(&arguments),
        AttestCommand::Verify(arguments) => verdict::verify(&arguments, now_ms),
    }
}

fn show(arguments: &AttestShow) -> Result<Report, CliError> {
    let input = Input::read(&arguments.file)?;
    let document = inspect(&input.document).map_err(|error| refused(error, &input.document))?;
    let mut warnings = vec!["nobody vouches for this: anybody can write such a document"];
    warnings.extend(warnings_of(&document));
    let view = View::of(&document, arguments.all);
    let mut lines: Vec<String> = warnings.iter().map(|it| format!("WARNING: {it}")).collect();
    lines.push(format!("read        {input}"));
    lines.extend(view.lines());
    Ok(Report::new(
        lines.join("\n"),
        json!({
            "verified": false,
            "warnings": warnings,
            "input": input.to_json(),
            "document": view.to_json(),
        }),
    ))
}

/// What is wrong with a document that somebody may see at a glance.
fn warnings_of(document: &UnverifiedDocument) -> Vec<&'static str> {
    let mut warnings = Vec::new();
    if !document.has_signature() {
        warnings.push("UNSIGNED: an emulator made this, nobody can ever verify it");
    }
    if document.claims_debug() {
        warnings.push(
            "DEBUG MODE: the host reads this enclave's memory, and its registers say nothing of its code",
        );
    }
    warnings
}

/// Puts a refusal into words, with what somebody can do about it.
fn refused(error: VerifyError, document: &[u8]) -> CliError {
    let unsigned = || inspect(document).is_ok_and(|document| !document.has_signature());
    let (code, what_to_do) = match error.kind() {
        RefusalKind::Form => (
            CliCode::DocumentMalformed,
            "Get the document again, whole and as it was made.",
        ),
        _ if unsigned() => (
            CliCode::DocumentUnsigned,
            "Nobody can verify it: emulators such as QEMU write documents without a signature. Ask a \
             real enclave for one.",
        ),
        RefusalKind::Authenticity => (
            CliCode::DocumentUntrusted,
            "Believe nothing that it says. Where it is of a development realm, name that realm's root \
             with --root.",
        ),
        RefusalKind::Time => (
            CliCode::DocumentOutdated,
            "Name the time at which you received it with --at, and the greatest age with --max-age; \
             keyfold attest show tells which time it claims.",
        ),
        RefusalKind::Debug => (
            CliCode::DocumentDebug,
            "Trust it with nothing: its host reads its memory. To look further all the same: \
             --allow-debug.",
        ),
        RefusalKind::Expectation => (
            CliCode::DocumentUnexpected,
            "It is genuine, and not what you demanded. Check what you demanded, then whom you asked.",
        ),
    };
    CliError::new(
        code,
        format!("the document was refused: {error}"),
        what_to_do,
    )
}

fn now_ms() -> Result<u64, CliError> {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| u64::try_from(since.as_millis()).ok())
        .ok_or_else(|| {
            CliError::usage(
                "this machine's clock is before 1970",
                "Set the clock, or name the time with --at.",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_refusal_has_its_code_and_is_not_verified() {
        for (error, code) in [
            (VerifyError::WrongTag, "document_malformed"),
            (VerifyError::RootMismatch, "document_untrusted"),
            (VerifyError::Signature, "document_untrusted"),
            (VerifyError::TooOld, "document_outdated"),
            (
                VerifyError::CertificateExpired { position: 4 },
                "document_outdated",
            ),
            (VerifyError::DebugMode, "document_debug"),
            (VerifyError::NonceMismatch, "document_unexpected"),
            (VerifyError::PcrMissing(7), "document_unexpected"),
        ] {
            let refused = refused(error, b"");
            assert_eq!(refused.code, code);
            assert_eq!(refused.exit, crate::error::Exit::Unverified);
            assert!(refused.message.ends_with(&error.to_string()));
        }
    }
}
