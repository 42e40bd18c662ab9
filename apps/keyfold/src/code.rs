//! The codes of what this program finds out by itself.

use crate::error::Exit;

macro_rules! codes {
    ($($variant:ident $name:literal $exit:ident $meaning:literal;)*) => {
        /// A stable code of the program's own. A code never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum CliCode {
            $(#[doc = $meaning] $variant,)*
        }

        impl CliCode {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Returns the code as it is printed.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Returns the exit code that goes with it.
            pub const fn exit(self) -> Exit {
                match self { $(Self::$variant => Exit::$exit),* }
            }

            /// Returns what it means: one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }
        }
    };
}

codes! {
    Usage "usage" Usage "The command line, or a file that it names, is not acceptable.";
    NoProfile "no_profile" Usage "There is no profile, or it cannot be read.";
    BadProfile "bad_profile" Usage "The profile is not well formed.";
    DevelopmentProfile "development_profile" Unverified "The profile is a development realm's, which this program does not trust.";
    NoDevelopmentProgram "no_development_program" Usage "keyfold-dev, which does this, is not there or cannot be executed.";
    DevelopmentFailed "development_failed" Failed "A demo, benchmark or role of the development program failed.";
    BadState "bad_state" Failed "A file of the profile's state cannot be used.";
    NotSignedIn "not_signed_in" SignIn "Nobody is signed in.";
    SignOutPending "sign_out_pending" Unavailable "Too few key holders have stored the end of the session yet.";
    RevocationPending "revocation_pending" Unavailable "Too few key holders have stored the end of the device or session yet.";
    SessionNotListed "session_not_listed" Refused "The id is none of the account's sessions.";
    DeviceNotListed "device_not_listed" Refused "The thumbprint is on no list of the account's devices.";
    IdTaken "id_taken" Usage "The id names another transaction of this device.";
    ServiceFailed "service_failed" Failed "A service could not start or go on.";
    EnclaveUnreachable "enclave_unreachable" Unavailable "No enclave answers at the socket.";
    EnclaveRefused "enclave_refused" Refused "The enclave refused the operator's request.";
    EnclaveFailed "enclave_failed" Failed "The enclave answered something that is not usable.";
    GenesisInvalid "genesis_invalid" Unverified "The enclave returned a realm record that does not verify.";
    OtherRealm "other_realm" Unverified "The enclave made a realm of other holders than were asked for.";
    DocumentMalformed "document_malformed" Unverified "The input is no attestation document, or a damaged one.";
    DocumentUnsigned "document_unsigned" Unverified "Nobody signed the attestation document: an emulator made it.";
    DocumentUntrusted "document_untrusted" Unverified "The attestation document's certificates or signature do not lead to the trusted root.";
    DocumentOutdated "document_outdated" Unverified "The attestation document or its certificates are not of the time for which they were judged.";
    DocumentDebug "document_debug" Unverified "The attestation document is of an enclave in debug mode, whose host reads its memory.";
    DocumentUnexpected "document_unexpected" Unverified "The attestation document is genuine and not what was demanded: nonce, code, registers, user data or public key.";
    NoRuntime "no_runtime" Failed "The system gave this program no thread to run on.";
}
