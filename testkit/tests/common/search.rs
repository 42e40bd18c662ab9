//! Searching everything that a host has for what must not be there, however it is written.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use alloy_primitives::hex;

/// Shortest form that is looked for: shorter ones are found by chance.
const SHORTEST: usize = 6;

/// Files, read once.
pub(crate) struct Haystack(Vec<(PathBuf, Vec<u8>)>);

/// Something that is looked for, in every way it may be written.
pub(crate) struct Needle {
    pub(crate) name: String,
    forms: Vec<(&'static str, Vec<u8>)>,
}

impl Needle {
    pub(crate) fn new(name: impl Into<String>, bytes: &[u8]) -> Self {
        assert!(bytes.len() >= SHORTEST, "too short to be found");
        let upper = hex::encode_upper(bytes);
        let mut forms = vec![
            ("bytes", bytes.to_vec()),
            ("hexadecimal", hex::encode(bytes).into_bytes()),
            ("upper hexadecimal", upper.into_bytes()),
            ("numbers", numbers(bytes, ",").into_bytes()),
            ("debug output", numbers(bytes, ", ").into_bytes()),
        ];
        let mut reversed = bytes.to_vec();
        reversed.reverse();
        if bytes.len() >= 16 {
            forms.push(("reversed bytes", reversed));
        }
        for shift in 0..3 {
            for (name, alphabet) in [("base64", STANDARD), ("base64url", URL)] {
                let inner = base64_inside(bytes, shift, alphabet);
                if inner.len() >= SHORTEST {
                    forms.push((name, inner));
                }
            }
        }
        Self {
            name: name.into(),
            forms,
        }
    }
}

fn numbers(bytes: &[u8], between: &str) -> String {
    let mut text = String::new();
    for (at, byte) in bytes.iter().enumerate() {
        let _ = write!(text, "{}{byte}", if at == 0 { "" } else { between });
    }
    text
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The characters of a longer text's base64 that depend on these bytes alone, when they begin
/// `shift` bytes after a group of three.
fn base64_inside(bytes: &[u8], shift: usize, alphabet: &[u8; 64]) -> Vec<u8> {
    let begin = (shift * 8).div_ceil(6);
    let end = (shift + bytes.len()) * 8 / 6;
    let bit = |at: usize| {
        let at = at - shift * 8;
        usize::from(bytes[at / 8] >> (7 - at % 8) & 1)
    };
    (begin..end)
        .map(|char| {
            let value = (0..6).fold(0, |value, i| value << 1 | bit(char * 6 + i));
            alphabet[value]
        })
        .collect()
}

impl Haystack {
    /// Reads all files in folders, however deep.
    pub(crate) fn of(folders: &[PathBuf]) -> Self {
        let mut files = Vec::new();
        for folder in folders {
            collect(folder, &mut files);
        }
        Self(files)
    }

    /// Reads what a process has written to its memory: all pages that it may write to and that are not
    /// empty. `None` where this user may not.
    pub(crate) fn of_memory(name: &str, pid: u32) -> Option<Self> {
        use std::os::unix::fs::FileExt as _;
        const PAGE: usize = 4096;
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
        let memory = std::fs::File::open(format!("/proc/{pid}/mem")).ok()?;
        let mut parts = Vec::new();
        for line in maps.lines() {
            let mut words = line.split_whitespace();
            let (range, rights) = (words.next()?, words.next()?);
            if !rights.starts_with("rw") {
                continue;
            }
            let (from, to) = range.split_once('-')?;
            let at = |text| u64::from_str_radix(text, 16).ok();
            let (from, to) = (at(from)?, at(to)?);
            let mut run = Vec::new();
            let mut page = [0; PAGE];
            let pages = (from..to).step_by(PAGE);
            for address in pages {
                let there = memory.read_exact_at(&mut page, address).is_ok();
                if there && page.iter().any(|byte| *byte != 0) {
                    run.extend_from_slice(&page);
                } else if !run.is_empty() {
                    parts.push((PathBuf::from(name), std::mem::take(&mut run)));
                }
            }
            if !run.is_empty() {
                parts.push((PathBuf::from(name), run));
            }
        }
        Some(Self(parts))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// Says what was found, where, and how it was written.
    pub(crate) fn find(&self, needles: &[Needle]) -> Vec<String> {
        let mut by_start: Vec<Vec<(usize, usize)>> = vec![Vec::new(); 1 << 16];
        for (n, needle) in needles.iter().enumerate() {
            for (f, (_, form)) in needle.forms.iter().enumerate() {
                by_start[start(form)].push((n, f));
            }
        }
        let mut found = std::collections::BTreeSet::new();
        for (path, bytes) in &self.0 {
            for at in 0..bytes.len().saturating_sub(1) {
                for (n, f) in &by_start[start(&bytes[at..])] {
                    let (how, form) = &needles[*n].forms[*f];
                    if bytes[at..].starts_with(form) {
                        let name = &needles[*n].name;
                        found.insert(format!("{name} as {how} in {}", path.display()));
                    }
                }
            }
        }
        found.into_iter().collect()
    }
}

fn start(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

fn collect(path: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), files);
        }
    } else if path.is_file() {
        files.push((path.to_owned(), std::fs::read(path).unwrap()));
    }
}

/// Shows that [`Haystack::find`] finds.
pub(crate) fn a_secret_is_found_however_it_is_written() {
    let folder = std::env::temp_dir().join(format!("keyfold-search-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let secret = b"a secret of 24 bytes....";
    let needles = [Needle::new("secret", secret)];
    for before in 0..4 {
        let mut text = vec![b'x'; before];
        text.extend_from_slice(secret);
        text.extend_from_slice(b"yz");
        let encoded = [
            text.clone(),
            keyfold_crypto::b64::encode(&text).into_bytes(),
            hex::encode(&text).into_bytes(),
            format!("{text:?}").into_bytes(),
            serde_json::to_vec(&text).unwrap(),
        ];
        for bytes in encoded {
            std::fs::write(folder.join("file"), &bytes).unwrap();
            let found = Haystack::of(std::slice::from_ref(&folder)).find(&needles);
            assert!(!found.is_empty(), "{}", String::from_utf8_lossy(&bytes));
        }
    }
    std::fs::write(folder.join("file"), b"a secret of 23 bytes....").unwrap();
    assert!(
        Haystack::of(std::slice::from_ref(&folder))
            .find(&needles)
            .is_empty()
    );
    std::fs::remove_dir_all(&folder).unwrap();
}
