//! Which measured code is trusted.

use serde::{Deserialize, Serialize};

use crate::document::Claims;
use crate::error::VerifyError;
use crate::pcr::{PCR_LEN, Pcr, is_zero};

/// The registers that every boot extends.
const IMAGE_PCRS: std::ops::RangeInclusive<u8> = 0..=2;

/// The measurements of one enclave image.
///
/// PCR0 is the whole image, PCR1 kernel and boot ramdisk, PCR2 the application. Where set, PCR3
/// is the IAM role of the parent instance, PCR4 the instance, PCR8 the certificate that signed
/// the image; where absent they are not compared. In JSON each is 96 hexadecimal digits.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Measurements {
    /// The enclave image.
    #[serde(with = "hex_pcr")]
    pub pcr0: Pcr,
    /// Kernel and boot ramdisk.
    #[serde(with = "hex_pcr")]
    pub pcr1: Pcr,
    /// The application.
    #[serde(with = "hex_pcr")]
    pub pcr2: Pcr,
    /// The IAM role of the parent instance.
    #[serde(
        with = "hex_pcr::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub pcr3: Option<Pcr>,
    /// The parent instance.
    #[serde(
        with = "hex_pcr::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub pcr4: Option<Pcr>,
    /// The certificate that signed the image.
    #[serde(
        with = "hex_pcr::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub pcr8: Option<Pcr>,
}

impl Measurements {
    /// Names an image by the three registers that every image has.
    pub fn of_image(pcr0: Pcr, pcr1: Pcr, pcr2: Pcr) -> Self {
        Self {
            pcr0,
            pcr1,
            pcr2,
            pcr3: None,
            pcr4: None,
            pcr8: None,
        }
    }

    fn matches(&self, claims: &Claims) -> bool {
        let required = [(0, self.pcr0), (1, self.pcr1), (2, self.pcr2)];
        let optional = [(3, self.pcr3), (4, self.pcr4), (8, self.pcr8)];
        required
            .into_iter()
            .chain(
                optional
                    .into_iter()
                    .filter_map(|(index, pcr)| Some((index, pcr?))),
            )
            .all(|(index, pcr)| claims.pcrs.get(&index) == Some(&pcr))
    }
}

/// The images a verifier trusts. An empty policy trusts none.
///
/// Documents of enclaves in debug mode, whose PCR0 to 2 are zeros, are refused even where an
/// entry of zeros would match. The only way around is
/// [`danger::policy_that_trusts_debug_enclaves`](crate::danger::policy_that_trusts_debug_enclaves).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MeasurementPolicy {
    allowed: Vec<Measurements>,
    allow_debug: bool,
}

impl MeasurementPolicy {
    /// Trusts these images and no others.
    pub fn new(allowed: Vec<Measurements>) -> Self {
        Self {
            allowed,
            allow_debug: false,
        }
    }

    pub(crate) fn with_debug(allowed: Vec<Measurements>) -> Self {
        Self {
            allowed,
            allow_debug: true,
        }
    }

    /// Gives the trusted images.
    pub fn allowed(&self) -> &[Measurements] {
        &self.allowed
    }

    /// Says whether enclaves in debug mode are trusted, which protects nobody.
    pub fn allows_debug(&self) -> bool {
        self.allow_debug
    }

    pub(crate) fn check(&self, claims: &Claims) -> Result<(), VerifyError> {
        match check_mode(claims, self.allow_debug)? {
            Mode::Debug => Ok(()),
            Mode::Measured if self.allowed.iter().any(|image| image.matches(claims)) => Ok(()),
            Mode::Measured => Err(VerifyError::MeasurementNotAllowed),
        }
    }
}

/// How an enclave that may be listened to was started.
pub(crate) enum Mode {
    /// Its registers say what code it runs.
    Measured,
    /// In debug mode, where they say nothing.
    Debug,
}

/// Refuses enclaves whose registers of the image are missing, and those in debug mode where they
/// are not allowed.
pub(crate) fn check_mode(claims: &Claims, allow_debug: bool) -> Result<Mode, VerifyError> {
    let mut zeros = 0;
    for index in IMAGE_PCRS {
        let pcr = claims
            .pcrs
            .get(&index)
            .ok_or(VerifyError::PcrMissing(index))?;
        zeros += usize::from(is_zero(pcr));
    }
    match zeros {
        0 => Ok(Mode::Measured),
        3 if allow_debug => Ok(Mode::Debug),
        // A boot always extends all three, so a single one of zeros is no sound measurement.
        _ => Err(VerifyError::DebugMode),
    }
}

/// Says whether a register of the image has zeros, as all of them have in debug mode.
pub(crate) fn looks_like_debug(claims: &Claims) -> bool {
    IMAGE_PCRS
        .filter_map(|index| claims.pcrs.get(&index))
        .any(is_zero)
}

mod hex_pcr {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::{PCR_LEN, Pcr};

    pub(super) fn serialize<S: Serializer>(pcr: &Pcr, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(pcr))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Pcr, D::Error> {
        parse(&String::deserialize(from)?)
    }

    fn parse<E: Error>(text: &str) -> Result<Pcr, E> {
        let mut pcr = [0; PCR_LEN];
        hex::decode_to_slice(text, &mut pcr)
            .map_err(|_| E::custom("a PCR is written as 96 hexadecimal digits"))?;
        Ok(pcr)
    }

    pub(super) mod option {
        use super::*;

        pub(in super::super) fn serialize<S: Serializer>(
            pcr: &Option<Pcr>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            match pcr {
                Some(pcr) => super::serialize(pcr, to),
                None => to.serialize_none(),
            }
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<Pcr>, D::Error> {
            Option::<String>::deserialize(from)?
                .as_deref()
                .map(parse)
                .transpose()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Measurements {
        Measurements {
            pcr8: Some([8; 48]),
            ..Measurements::of_image([0; 48], [1; 48], [2; 48])
        }
    }

    #[test]
    fn measurements_in_json_are_hexadecimal_and_leave_out_what_is_not_set() {
        let digits = |digits: &str| digits.repeat(48);
        let json = format!(
            r#"{{"pcr0":"{}","pcr1":"{}","pcr2":"{}","pcr8":"{}"}}"#,
            digits("00"),
            digits("01"),
            digits("02"),
            digits("08"),
        );
        assert_eq!(serde_json::to_string(&image()).unwrap(), json);
        assert_eq!(
            serde_json::from_str::<Measurements>(&json).unwrap(),
            image()
        );
        let null = json.replace("\"pcr8\"", "\"pcr3\":null,\"pcr8\"");
        assert_eq!(
            serde_json::from_str::<Measurements>(&null).unwrap(),
            image()
        );
    }

    #[test]
    fn measurements_of_another_length_or_name_are_refused() {
        let json = serde_json::to_string(&image()).unwrap();
        for bad in [
            json.replacen("00", "", 1),
            json.replacen("00", "0000", 1),
            json.replacen("00", "0g", 1),
            json.replacen("pcr8", "pcr9", 1),
            json.replacen("pcr2", "pcr3", 1),
        ] {
            assert!(serde_json::from_str::<Measurements>(&bad).is_err(), "{bad}");
        }
    }
}
