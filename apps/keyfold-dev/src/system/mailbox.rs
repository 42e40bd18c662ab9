//! The received mails, and the codes in them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::system::SystemError;

/// For a mail to arrive: one round over TLS on loopback, with patience for a busy machine.
const ARRIVES_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(10);
const CODE_DIGITS: usize = 8;

/// A received mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Its file.
    pub path: PathBuf,
    /// Everything in it, as it arrived.
    pub text: String,
}

impl Mail {
    /// Returns the addresses of its `To` header, as they stand there.
    pub fn to(&self) -> &str {
        self.text
            .lines()
            .take_while(|line| !line.is_empty())
            .find_map(|line| line.strip_prefix("To: "))
            .unwrap_or_default()
    }

    /// Returns the code: eight digits on a line of their own.
    pub fn code(&self) -> Option<&str> {
        let body = self.text.lines().skip_while(|line| !line.is_empty());
        body.map(str::trim)
            .find(|line| line.len() == CODE_DIGITS && line.bytes().all(|b| b.is_ascii_digit()))
    }
}

/// The folder that the mail server writes to.
#[derive(Debug, Clone)]
pub struct Mailbox {
    folder: PathBuf,
}

impl Mailbox {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Reads everything that has arrived, oldest first.
    ///
    /// # Errors
    ///
    /// [`SystemError::Io`].
    pub fn all(&self) -> Result<Vec<Mail>, SystemError> {
        let mut paths = Vec::new();
        let entries =
            std::fs::read_dir(&self.folder).map_err(SystemError::io("read the folder of mails"))?;
        for entry in entries {
            let path = entry
                .map_err(SystemError::io("read the folder of mails"))?
                .path();
            if path.extension().is_some_and(|extension| extension == "eml") {
                paths.push(path);
            }
        }
        paths.sort();
        paths.into_iter().map(read).collect()
    }

    /// Waits for a further mail with a code to an address, beyond the first `seen` to it.
    ///
    /// # Errors
    ///
    /// [`SystemError`], also where none arrives.
    pub async fn wait(&self, address: &str, seen: usize) -> Result<Mail, SystemError> {
        let arrives = async {
            loop {
                let mut mails = self.codes(address)?;
                if mails.len() > seen {
                    return Ok(mails.swap_remove(seen));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        match tokio::time::timeout(ARRIVES_WITHIN, arrives).await {
            Ok(mail) => mail,
            Err(_elapsed) => Err(SystemError::Step {
                what: format!("read the mail to {address}"),
                problem: format!(
                    "none arrived within {} s; see the logs of mail server and enclave",
                    ARRIVES_WITHIN.as_secs()
                ),
            }),
        }
    }

    /// Reads the mails with a code to an address, oldest first. Notices come when they come.
    ///
    /// # Errors
    ///
    /// [`SystemError::Io`].
    pub fn codes(&self, address: &str) -> Result<Vec<Mail>, SystemError> {
        let mut mails = self.all()?;
        mails.retain(|mail| mail.to().contains(address) && mail.code().is_some());
        Ok(mails)
    }

    /// Reads the mails without a code to an address, oldest first.
    ///
    /// # Errors
    ///
    /// [`SystemError::Io`].
    pub fn notices(&self, address: &str) -> Result<Vec<Mail>, SystemError> {
        let mut mails = self.all()?;
        mails.retain(|mail| mail.to().contains(address) && mail.code().is_none());
        Ok(mails)
    }

    /// Returns the folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

fn read(path: PathBuf) -> Result<Mail, SystemError> {
    let bytes =
        std::fs::read(&path).map_err(SystemError::io(format!("read {}", path.display())))?;
    let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
    Ok(Mail { path, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &str = "From: App <a@app.example>\r\nTo: user@mail.example\r\nX-Id: 12345678\r\n\r\n\
        Your code is\r\n\r\n00420042\r\n\r\nIt works once.\r\n";

    #[tokio::test]
    async fn the_code_is_read_from_the_body_of_the_next_mail_to_the_address() {
        let dir = tempfile::tempdir().unwrap();
        let mailbox = Mailbox::new(dir.path().to_owned());
        std::fs::write(dir.path().join("0001.eml"), MAIL.replace("user@", "else@")).unwrap();
        std::fs::write(
            dir.path().join("0002.eml"),
            MAIL.replace("0042\r", "0043\r"),
        )
        .unwrap();
        let notice = MAIL.replace("00420042", "A new device");
        std::fs::write(dir.path().join("0003.eml"), notice).unwrap();
        std::fs::write(dir.path().join("0004.eml"), MAIL).unwrap();
        let first = mailbox.wait("user@mail.example", 0).await.unwrap();
        assert_eq!(first.code(), Some("00420043"));
        let second = mailbox.wait("user@mail.example", 1).await.unwrap();
        assert_eq!(second.code(), Some("00420042"));
        assert_eq!(mailbox.notices("user@mail.example").unwrap().len(), 1);
        assert_eq!(mailbox.all().unwrap().len(), 4);
    }
}
