//! Warrants: a file that goes from operator to operator, and what it says in words.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use keyfold_holder_service::{
    HolderConfig, SystemClock, WarrantStanding, look_at_warrant, sign_warrant,
};
use keyfold_protocol::warrant::{SignedWarrant, Warrant};
use keyfold_storage::config_file::read_text;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::commands::Outcome;

/// Prints what a warrant allows, and who has signed it.
pub(crate) async fn show(config: &HolderConfig, file: &Path) -> Outcome {
    let signed = read(file)?;
    let standing = look_at_warrant(config, &signed, &SystemClock).await?;
    print(&words(&signed.warrant, &standing))
}

/// Signs a warrant, and prints what was signed.
pub(crate) async fn sign(config: &HolderConfig, file: &Path) -> Outcome {
    let mut signed = read(file)?;
    let standing = sign_warrant(config, &mut signed).await?;
    replace(file, &serde_json::to_string_pretty(&signed)?)?;
    print(&words(&signed.warrant, &standing))
}

fn print(text: &str) -> Outcome {
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

fn read(file: &Path) -> Result<SignedWarrant, Box<dyn std::error::Error>> {
    let text = read_text(file)?;
    Ok(serde_json::from_str(&text)
        .map_err(|error| format!("{} is not a warrant: {error}", file.display()))?)
}

/// Puts a new text in the place of a file: the whole of it or nothing.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = file.with_file_name(name);
    let written = write_new(&beside, text).and_then(|()| fs::rename(&beside, file));
    if let Err(error) = written {
        // What was there is as it was; the leftover is of no use to anybody.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn words(warrant: &Warrant, standing: &WarrantStanding) -> String {
    let approved = if standing.approved {
        "approved by this holder"
    } else {
        "NOT approved by this holder"
    };
    let state = match standing.defect {
        Some(defect) => format!("nothing: {defect}"),
        None if standing.signers.len() < usize::from(standing.needed) => {
            "nothing yet: more must sign it".to_owned()
        }
        None => "now".to_owned(),
    };
    let mut signers: Vec<String> = standing
        .signers
        .iter()
        .map(|(index, name, party)| format!("{index} {} ({})", plain(name), plain(party)))
        .collect();
    if signers.is_empty() {
        signers.push("nobody".to_owned());
    }
    format!(
        "Warrant {id}\n\
         allows     one enclave image to make new shares of every key of a generation before\n\
         \x20          {generation}, for the same holders, while the keys' owners are away; nothing else\n\
         realm      {realm}, version {from} of its record\n\
         image      {image} ({approved})\n\
         from       {issued}\n\
         until      {expires}\n\
         signed by  {signers}\n\
         \x20          {count} of the {needed} that must\n\
         effective  {state}\n",
        id = standing.id,
        generation = warrant.generation,
        realm = warrant.realm,
        from = warrant.from,
        image = hex::encode(warrant.image),
        issued = date(warrant.issued),
        expires = date(warrant.expires),
        signers = signers.join(", "),
        count = standing.signers.len(),
        needed = standing.needed,
    )
}

/// A time as people read it, or its number where it is beyond all calendars.
fn date(unix_seconds: u64) -> String {
    let time = i64::try_from(unix_seconds).ok();
    let time = time.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    time.and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{unix_seconds} seconds after 1970"))
}

/// Names of other parties, without what a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use keyfold_protocol::ids::{Digest32, RealmId};
    use keyfold_protocol::warrant::WarrantError;

    use super::*;

    fn warrant() -> Warrant {
        Warrant {
            version: 1,
            realm: RealmId::from_bytes([0xa1; 32]),
            from: 1,
            to: 1,
            generation: 20_480,
            image: [0xb2; 48],
            issued: 1_767_268_800,
            expires: 1_767_355_200,
        }
    }

    fn standing() -> WarrantStanding {
        WarrantStanding {
            id: Digest32::from_bytes([0xc3; 32]),
            defect: None,
            approved: true,
            signers: vec![(2, "h2".to_owned(), "Example Ltd".to_owned())],
            needed: 2,
        }
    }

    #[test]
    fn everything_that_is_signed_is_said() {
        let text = words(&warrant(), &standing());
        for part in [
            &"a1".repeat(32),
            &"b2".repeat(48),
            &"c3".repeat(32),
            "20480",
            "version 1",
            "2026-01-01T12:00:00Z",
            "2026-01-02T12:00:00Z",
            "2 h2 (Example Ltd)",
            "1 of the 2",
            "nothing yet",
            "(approved",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
    }

    #[test]
    fn a_warrant_that_does_not_hold_is_said_to_allow_nothing() {
        let expired = WarrantStanding {
            defect: Some(WarrantError::Expired),
            approved: false,
            needed: 1,
            ..standing()
        };
        let text = words(&warrant(), &expired);
        assert!(
            text.contains("effective  nothing: the warrant has expired"),
            "{text}"
        );
        assert!(text.contains("NOT approved"), "{text}");
        let good = WarrantStanding {
            needed: 1,
            ..standing()
        };
        assert!(words(&warrant(), &good).contains("effective  now\n"));
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("warrant.json");
        fs::write(&file, "old").unwrap();
        replace(&file, "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        // What cannot be replaced is as it was.
        let folder = dir.path().join("folder");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("in it"), "old").unwrap();
        assert!(replace(&folder, "new").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
