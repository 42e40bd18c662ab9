//! The sets of contracts that are known by name, and their addresses (format sections 1.5, 1.6).

use core::fmt;
use core::str::FromStr;

use alloy_primitives::{Address, Bytes, address, bytes};
use serde::{Deserialize, Serialize};

use crate::Context;

/// The wallet proxy's creation code; the main module's address follows as a word.
pub const CREATION_CODE: Bytes = bytes!(
    "6041600e3d396021805130553df33d3d36153402601f57363d3d373d363d30545af43d82803e903d91601f57fd5bf3"
);
/// The creation code of `sequence-dev1`, which refused any call with value.
const CREATION_CODE_DEV1: Bytes = bytes!(
    "603e600e3d39601e805130553df33d3d34601c57363d3d373d363d30545af43d82803e903d91601c57fd5bf3"
);

/// Entry point of ERC-4337 v0.7.
pub const ENTRY_POINT_V07: Address = address!("0000000071727De22E5E9d8BAf0edAc6f37da032");

const SEQUENCE_FACTORY: Address = address!("00000000000018A77519fcCCa060c2537c9D6d3F");
const SEQUENCE_GUEST: Address = address!("0000000000006Ac72ed1d192fa28f0058D3F8806");

/// A set of contracts by name.
///
/// A project chooses one of [`ContextName::CHOICES`]; the others are known so that wallets made
/// with them can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum ContextName {
    /// Keyfold's own contracts.
    #[default]
    Keyfold,
    /// The same with ERC-4337, entry points v0.7 and v0.8.
    KeyfoldErc4337,
    /// Sequence v3, release candidate 5: audited, on the public chains.
    SequenceRc5,
    /// The same with ERC-4337.
    SequenceRc5Erc4337,
    /// Release candidate 4.
    SequenceRc4,
    /// The same with ERC-4337.
    SequenceRc4Erc4337,
    /// Release candidate 3, for development.
    SequenceRc3,
    /// The same with ERC-4337.
    SequenceRc3Erc4337,
    /// Development, second.
    SequenceDev2,
    /// The same with ERC-4337.
    SequenceDev2Erc4337,
    /// Development, first.
    SequenceDev1,
}

/// The contracts that a wallet uses as sapient signers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extensions {
    /// Verifies passkeys; sapient-compact.
    pub passkeys: Address,
    /// Approves what was queued long enough ago; sapient-compact.
    pub recovery: Address,
    /// The session manager; sapient.
    pub sessions: Address,
}

/// No context of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown contracts; known are {}", ContextName::listed())]
pub struct UnknownContext;

impl ContextName {
    /// Every name.
    pub const ALL: [Self; 11] = [
        Self::Keyfold,
        Self::KeyfoldErc4337,
        Self::SequenceRc5,
        Self::SequenceRc5Erc4337,
        Self::SequenceRc4,
        Self::SequenceRc4Erc4337,
        Self::SequenceRc3,
        Self::SequenceRc3Erc4337,
        Self::SequenceDev2,
        Self::SequenceDev2Erc4337,
        Self::SequenceDev1,
    ];

    /// What a project may choose for new wallets.
    pub const CHOICES: [Self; 4] = [
        Self::Keyfold,
        Self::KeyfoldErc4337,
        Self::SequenceRc5,
        Self::SequenceRc5Erc4337,
    ];

    /// Whether a project may choose it for new wallets.
    #[must_use]
    pub fn is_choice(self) -> bool {
        Self::CHOICES.contains(&self)
    }

    /// Whether they are Keyfold's own contracts, with or without ERC-4337.
    #[must_use]
    pub const fn is_keyfold(self) -> bool {
        matches!(self, Self::Keyfold | Self::KeyfoldErc4337)
    }

    fn listed() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }

    /// The name as it is written in configuration files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keyfold => "keyfold",
            Self::KeyfoldErc4337 => "keyfold-4337",
            Self::SequenceRc5 => "sequence-rc5",
            Self::SequenceRc5Erc4337 => "sequence-rc5-4337",
            Self::SequenceRc4 => "sequence-rc4",
            Self::SequenceRc4Erc4337 => "sequence-rc4-4337",
            Self::SequenceRc3 => "sequence-rc3",
            Self::SequenceRc3Erc4337 => "sequence-rc3-4337",
            Self::SequenceDev2 => "sequence-dev2",
            Self::SequenceDev2Erc4337 => "sequence-dev2-4337",
            Self::SequenceDev1 => "sequence-dev1",
        }
    }

    /// The contracts.
    #[must_use]
    pub fn context(self) -> Context {
        let sequence = |stage1, stage2| Context {
            factory: SEQUENCE_FACTORY,
            stage1,
            stage2,
            guest: SEQUENCE_GUEST,
            creation_code: CREATION_CODE,
        };
        let dev2 = |stage1, stage2| Context {
            factory: address!("FE14B91dE3c5Ca74c4D24608EBcD4B2848aA6010"),
            ..sequence(stage1, stage2)
        };
        match self {
            Self::Keyfold => Context {
                factory: address!("18F570A976f3ceF58c10760e7A337fa2c1625026"),
                stage1: address!("F6e26915B661418B6BFB0e2AA3238d738507ed76"),
                stage2: address!("f42889738C1894Ade8Eb7E9Ca7635af08BA76846"),
                guest: address!("3a4a1c71bc48bEbd03f41fe17c8e3245b1Fa0247"),
                creation_code: CREATION_CODE,
            },
            Self::KeyfoldErc4337 => Context {
                stage1: address!("0F2533AEBfB826bf6ce68471Cf18B18A42Bf56c8"),
                stage2: address!("1F2c62c9D2407E76BBEAB5a75D6Fb764Cb839576"),
                ..Self::Keyfold.context()
            },
            Self::SequenceRc5 => sequence(
                address!("0000000000001f3C39d61698ab21131a12134454"),
                address!("D0ae8eF93b7DA4eabb32Ec4d81b7a501DCa04D4C"),
            ),
            Self::SequenceRc5Erc4337 => sequence(
                address!("0000000000009caFdeDb6f64Bf5F31a22124B2a8"),
                address!("cBca3328a731deffE6Ce4c2fb51b585c3c37FB92"),
            ),
            Self::SequenceRc4 => sequence(
                address!("0000000000003DF093bc4257E6dCE45D937EF161"),
                address!("10bE1Abf3cD0918bb1079ECc6b8220c177F34088"),
            ),
            Self::SequenceRc4Erc4337 => sequence(
                address!("0000000000003add039FF84b064B7347Fc23C444"),
                address!("4B3E5735665057A0A15eE448A7293bC01e3b4De9"),
            ),
            Self::SequenceRc3 => sequence(
                address!("00000000000084fA81809Dd337311297C5594d62"),
                address!("7438718F9E4b9B834e305A620EEeCf2B9E6eBE79"),
            ),
            Self::SequenceRc3Erc4337 => sequence(
                address!("0000000000005A02E3218e820EA45102F84A35C7"),
                address!("7706aaC0cc2C42C01CE17136F7475b0E46F2ABA1"),
            ),
            Self::SequenceDev2 => dev2(
                address!("300E98ae5bEA4A7291d62Eb0b9feD535E10095dD"),
                address!("90cb0a8ccf40bEdA60896e408bdc7801033447C6"),
            ),
            Self::SequenceDev2Erc4337 => dev2(
                address!("8Ae58FCc0Ee9b32994CA52c9854deb969DC8fa2A"),
                address!("30f8e3AceAcDEac8a3F28935D87FD58DC5f71ad2"),
            ),
            Self::SequenceDev1 => Context {
                factory: address!("e828630697817291140D6B7A42a2c3b7277bE45a"),
                creation_code: CREATION_CODE_DEV1,
                ..sequence(
                    address!("2a4fB19F66F1427A5E363Bf1bB3be27b9A9ACC39"),
                    address!("e1299E4456b267123F7Aba29B72C2164ff501BDa"),
                )
            },
        }
    }

    /// The contracts that wallets of this context use as sapient signers. `None` where none are
    /// published.
    #[must_use]
    pub fn extensions(self) -> Option<Extensions> {
        let passkeys = address!("0000000000005204F3711851EAD52CC9c241499a");
        let sessions = address!("00000000000030Bcc832F7d657f50D6Be35C92b3");
        match self {
            Self::SequenceRc5 | Self::SequenceRc5Erc4337 => Some(Extensions {
                passkeys,
                recovery: address!("000000000000AB36D17eB1150116371520565205"),
                sessions,
            }),
            Self::SequenceRc4 | Self::SequenceRc4Erc4337 => Some(Extensions {
                passkeys,
                recovery: address!("000000000001FC499c3E177DD56Febb0A4bc15b7"),
                sessions,
            }),
            Self::SequenceRc3 | Self::SequenceRc3Erc4337 => Some(Extensions {
                passkeys: address!("0000000000dc2d96870dc108c5E15570B715DFD2"),
                recovery: address!("0000000000213697bCA95E7373787a40858a51C7"),
                sessions: address!("0000000000CC58810c33F3a0D78aA1Ed80FaDcD8"),
            }),
            Self::SequenceDev2 | Self::SequenceDev2Erc4337 => Some(Extensions {
                passkeys: address!("4491845806B757D67BE05BbD877Cab101B9bee5C"),
                recovery: address!("dED857b9b5142832634129aFfc1D67cD106b927c"),
                sessions: address!("06aa3a8F781F2be39b888Ac8a639c754aEe9dA29"),
            }),
            Self::Keyfold | Self::KeyfoldErc4337 => Some(Extensions {
                passkeys: address!("d8295be83a05a98f6f94770202BbB9E2e769b793"),
                recovery: address!("01a942Fb5243809c556eA48e64dE2de32fF2Ef94"),
                sessions: address!("427D7DF5B58B8213364F649041dC52Bc0c3B23b4"),
            }),
            Self::SequenceDev1 => None,
        }
    }

    /// The ERC-4337 entry point v0.7, if wallets of this context answer to it. Keyfold's own answer to
    /// v0.8 as well.
    #[must_use]
    pub fn entry_point(self) -> Option<Address> {
        match self {
            Self::KeyfoldErc4337
            | Self::SequenceRc5Erc4337
            | Self::SequenceRc4Erc4337
            | Self::SequenceRc3Erc4337
            | Self::SequenceDev2Erc4337 => Some(ENTRY_POINT_V07),
            _ => None,
        }
    }
}

impl fmt::Display for ContextName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for ContextName {
    type Err = UnknownContext;

    fn from_str(text: &str) -> Result<Self, UnknownContext> {
        Self::ALL
            .into_iter()
            .find(|name| name.as_str() == text)
            .ok_or(UnknownContext)
    }
}

impl TryFrom<String> for ContextName {
    type Error = UnknownContext;

    fn try_from(text: String) -> Result<Self, UnknownContext> {
        text.parse()
    }
}

impl From<ContextName> for String {
    fn from(name: ContextName) -> Self {
        name.as_str().to_owned()
    }
}

impl Context {
    /// Keyfold's own contracts, at the addresses the deterministic deployer gives them.
    #[must_use]
    pub fn keyfold() -> Self {
        ContextName::Keyfold.context()
    }

    /// The deployed, audited Sequence v3 contracts, release candidate 5.
    #[must_use]
    pub fn sequence_rc5() -> Self {
        ContextName::SequenceRc5.context()
    }

    /// As [`Context::sequence_rc5`], with ERC-4337.
    #[must_use]
    pub fn sequence_rc5_4337() -> Self {
        ContextName::SequenceRc5Erc4337.context()
    }
}
