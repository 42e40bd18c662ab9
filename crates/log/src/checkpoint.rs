//! Tree heads: which log, how many entries, which root.
//!
//! C2SP tlog-checkpoint.

use base64ct::{Base64, Encoding};

use crate::frontier::Frontier;
use crate::hash::{Hash, empty_root};
use crate::note::{NoteError, NoteSigner, NoteVerifier, SignedNote};

/// The most bytes an origin may have.
pub const MAX_ORIGIN_BYTES: usize = 255;
/// The most extension lines that are read.
pub const MAX_EXTENSIONS: usize = 16;

/// Why a checkpoint is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note around it is malformed, or not signed by the log.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text is not a checkpoint.
    #[error("the checkpoint is malformed")]
    Malformed,
    /// It is of another log.
    #[error("the checkpoint is of another log")]
    WrongOrigin,
}

/// A tree head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
    extensions: Vec<String>,
}

impl Checkpoint {
    /// Makes the head of the log `origin` as its frontier stands.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Malformed`] if the origin is empty, too long or has control characters.
    pub fn of(origin: impl Into<String>, frontier: &Frontier) -> Result<Self, CheckpointError> {
        Self::new(origin, frontier.size(), frontier.root())
    }

    /// Makes a head.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Malformed`] if the origin is empty, too long or has control characters,
    /// or an empty log has another root than the empty one.
    pub fn new(origin: impl Into<String>, size: u64, root: Hash) -> Result<Self, CheckpointError> {
        let origin = origin.into();
        let named = !origin.is_empty() && origin.len() <= MAX_ORIGIN_BYTES;
        let clean = !origin.chars().any(char::is_control);
        if !named || !clean || (size == 0 && root != empty_root()) {
            return Err(CheckpointError::Malformed);
        }
        Ok(Self {
            origin,
            size,
            root,
            extensions: Vec::new(),
        })
    }

    /// Returns which log it is the head of.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the number of entries.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Returns the root of the tree.
    pub const fn root(&self) -> &Hash {
        &self.root
    }

    /// Returns the extension lines, which mean nothing here.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// Writes the text that is signed.
    pub fn to_text(&self) -> String {
        let root = Base64::encode_string(self.root.as_bytes());
        let mut text = format!("{}\n{}\n{root}\n", self.origin, self.size);
        for line in &self.extensions {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Signs it and returns the note.
    ///
    /// # Errors
    ///
    /// As [`NoteSigner::sign`].
    pub fn sign(&self, signer: &NoteSigner) -> Result<String, NoteError> {
        signer.sign(&self.to_text())
    }

    /// Reads a signed checkpoint of the log `origin`, verified with its key.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`]; nothing of an unverified checkpoint is returned.
    ///
    /// # Security
    ///
    /// Says that the log's key signed this head. Not that it is the newest, nor that it agrees with
    /// others: verify consistency with the last one seen.
    pub fn open(
        bytes: &[u8],
        origin: &str,
        verifier: &NoteVerifier,
    ) -> Result<Self, CheckpointError> {
        let note = SignedNote::parse(bytes)?;
        let checkpoint = Self::parse_text(note.verify(verifier)?)?;
        if checkpoint.origin == origin {
            Ok(checkpoint)
        } else {
            Err(CheckpointError::WrongOrigin)
        }
    }

    /// Reads the text of a checkpoint, in the one form that [`Checkpoint::to_text`] writes.
    fn parse_text(text: &str) -> Result<Self, CheckpointError> {
        let body = text.strip_suffix('\n').ok_or(CheckpointError::Malformed)?;
        let mut lines = body.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Malformed);
        };
        let mut bytes = [0; 32];
        let root = Base64::decode(root, &mut bytes)
            .ok()
            .and_then(Hash::from_slice)
            .ok_or(CheckpointError::Malformed)?;
        let mut checkpoint = Self::new(origin, parse_size(size)?, root)?;
        for line in lines {
            if line.is_empty() || checkpoint.extensions.len() == MAX_EXTENSIONS {
                return Err(CheckpointError::Malformed);
            }
            checkpoint.extensions.push(line.to_owned());
        }
        Ok(checkpoint)
    }
}

/// Reads a decimal without sign, leading zero or white space.
fn parse_size(digits: &str) -> Result<u64, CheckpointError> {
    let canonical =
        digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    digits
        .parse()
        .ok()
        .filter(|_| canonical)
        .ok_or(CheckpointError::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hash::leaf_hash;
    use crate::note::NoteKey;

    const ORIGIN: &str = "holder-1.example/log";
    // The example of the C2SP tlog-checkpoint specification.
    const PUBLISHED: &str =
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    fn signer() -> NoteSigner {
        NoteSigner::new(ORIGIN, NoteKey::from_seed(&[3; 32])).unwrap()
    }

    fn open(text: &str) -> Result<Checkpoint, CheckpointError> {
        let note = signer().sign(text)?;
        Checkpoint::open(note.as_bytes(), ORIGIN, &signer().verifier().unwrap())
    }

    #[test]
    fn the_published_example_is_read_and_written_back() {
        let checkpoint = Checkpoint::parse_text(PUBLISHED).unwrap();
        assert_eq!(checkpoint.origin(), "example.com/behind-the-sofa");
        assert_eq!(checkpoint.size(), 20_852_163);
        assert_eq!(checkpoint.to_text(), PUBLISHED);
    }

    #[test]
    fn a_signed_head_is_read_back() {
        let mut frontier = Frontier::new();
        frontier.append(leaf_hash(b"entry")).unwrap();
        let checkpoint = Checkpoint::of(ORIGIN, &frontier).unwrap();
        let note = checkpoint.sign(&signer()).unwrap();
        let verifier = signer().verifier().unwrap();
        assert_eq!(
            Checkpoint::open(note.as_bytes(), ORIGIN, &verifier),
            Ok(checkpoint)
        );
    }

    #[test]
    fn a_head_of_another_log_by_the_same_key_is_refused() {
        let other = Checkpoint::of("holder-2.example/log", &Frontier::new()).unwrap();
        assert_eq!(open(&other.to_text()), Err(CheckpointError::WrongOrigin));
    }

    #[test]
    fn forms_that_are_not_the_canonical_one_are_refused() {
        let root = Base64::encode_string(&[7; 32]);
        let empty = Base64::encode_string(empty_root().as_bytes());
        for (defect, text) in [
            ("leading zero", format!("{ORIGIN}\n01\n{root}\n")),
            ("sign", format!("{ORIGIN}\n+1\n{root}\n")),
            ("negative", format!("{ORIGIN}\n-1\n{root}\n")),
            ("space", format!("{ORIGIN}\n 1\n{root}\n")),
            (
                "too large",
                format!("{ORIGIN}\n18446744073709551616\n{root}\n"),
            ),
            ("no size", format!("{ORIGIN}\n\n{root}\n")),
            ("no origin", format!("\n1\n{root}\n")),
            ("no root", format!("{ORIGIN}\n1\n")),
            ("short root", format!("{ORIGIN}\n1\nAAAA\n")),
            (
                "long root",
                format!("{ORIGIN}\n1\n{}\n", Base64::encode_string(&[7; 33])),
            ),
            ("empty extension", format!("{ORIGIN}\n1\n{root}\n\nx\n")),
            ("empty log, other root", format!("{ORIGIN}\n0\n{root}\n")),
            (
                "many extensions",
                format!("{ORIGIN}\n1\n{root}\n{}", "x\n".repeat(17)),
            ),
        ] {
            assert_eq!(open(&text), Err(CheckpointError::Malformed), "{defect}");
        }
        assert!(open(&format!("{ORIGIN}\n0\n{empty}\n")).is_ok());
        assert_eq!(
            open(&format!("{ORIGIN}\n1\n{root}\nt 1\n"))
                .unwrap()
                .extensions(),
            ["t 1"]
        );
    }

    proptest! {
        #[test]
        fn arbitrary_texts_are_refused_or_written_back_the_same(text in "[ -~\n]{0,120}") {
            if let Ok(checkpoint) = Checkpoint::parse_text(&text) {
                prop_assert_eq!(checkpoint.to_text(), text);
            }
        }

        #[test]
        fn every_head_survives_the_round_trip(size in 1u64.., root: [u8; 32]) {
            let checkpoint = Checkpoint::new(ORIGIN, size, Hash(root)).unwrap();
            prop_assert_eq!(open(&checkpoint.to_text()), Ok(checkpoint));
        }
    }
}
