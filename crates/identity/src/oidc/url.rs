//! Addresses of providers: `https`, a host name, nothing hidden.
//!
//! A URL is taken only in the one form in which every parser reads the same: what the WHATWG
//! parser would have to repair (tabs, backslashes, `%2e%2e`, upper-case hosts, numbers that are
//! addresses) is refused instead. Host names only: an IP literal of a provider is somebody
//! pointing at an inside.

use core::fmt;

/// Most bytes of a URL.
pub const MAX_URL_LEN: usize = 1_024;

/// Says why a text is not an address that is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// More than [`MAX_URL_LEN`] bytes.
    #[error("the URL is too long")]
    TooLong,
    /// Not `https`.
    #[error("the URL is not https")]
    NotHttps,
    /// No public host name: an IP address, a name without a dot, or none at all.
    #[error("the URL's host is not a public host name")]
    BadHost,
    /// With user name, password, or fragment, or not in normal form.
    #[error("the URL is malformed")]
    Malformed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Reach {
    Public,
    Loopback,
}

/// An `https` URL with a public host name, without user information or fragment.
///
/// Equal only where the text is: `https://a.example` and `https://a.example/` are two.
///
/// # Security
///
/// A name says nothing of the address it resolves to. Whoever connects keeps a list of hosts.
///
/// RFC 3986, RFC 8414 section 2.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpsUrl {
    text: String,
    host: String,
    port: u16,
    reach: Reach,
}

impl HttpsUrl {
    /// Parses a URL.
    ///
    /// # Errors
    ///
    /// [`UrlError`].
    ///
    /// # Security
    ///
    /// For untrusted text; bounded.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        Self::parse_reaching(text, Reach::Public)
    }

    /// Parses a URL as [`HttpsUrl::parse`] does, or one of a provider on this machine:
    /// `http` or `https` at `localhost` or `127.0.0.1`.
    ///
    /// # Errors
    ///
    /// [`UrlError`].
    #[cfg(any(test, feature = "testing"))]
    pub fn parse_loopback(text: &str) -> Result<Self, UrlError> {
        Self::parse_reaching(text, Reach::Loopback)
    }

    /// Tells whether a browser may be sent there with a code: https, or this very machine.
    pub(super) fn is_https_or_loopback(text: &str) -> bool {
        Self::parse_reaching(text, Reach::Loopback).is_ok()
    }

    /// Makes the address of a provider that is built in; a test parses each.
    pub(super) fn known(host: &'static str, path: &'static str) -> Self {
        Self {
            text: format!("https://{host}{path}"),
            host: host.to_owned(),
            port: 443,
            reach: Reach::Public,
        }
    }

    /// Parses a URL that a document of this origin names: no further than the origin itself
    /// reaches.
    ///
    /// # Errors
    ///
    /// [`UrlError`].
    pub fn parse_named(&self, text: &str) -> Result<Self, UrlError> {
        Self::parse_reaching(text, self.reach)
    }

    /// Returns this URL with more behind its path, whether or not the path ends with a slash.
    ///
    /// # Errors
    ///
    /// [`UrlError`], also for a URL with a query.
    pub fn join_path(&self, suffix: &str) -> Result<Self, UrlError> {
        if self.text.contains('?') {
            return Err(UrlError::Malformed);
        }
        let base = self.text.strip_suffix('/').unwrap_or(&self.text);
        Self::parse_reaching(&format!("{base}{suffix}"), self.reach)
    }

    fn parse_reaching(text: &str, reach: Reach) -> Result<Self, UrlError> {
        if text.len() > MAX_URL_LEN {
            return Err(UrlError::TooLong);
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(UrlError::Malformed);
        }
        let url = ::url::Url::parse(text).map_err(|_| UrlError::Malformed)?;
        let host = url.host_str().ok_or(UrlError::Malformed)?;
        let loopback = reach == Reach::Loopback && matches!(host, "localhost" | "127.0.0.1");
        if url.scheme() != "https" && !(loopback && url.scheme() == "http") {
            return Err(UrlError::NotHttps);
        }
        if !loopback && !is_public_name(&url, host) {
            return Err(UrlError::BadHost);
        }
        let written_without_slash = url.as_str().strip_suffix('/') == Some(text)
            && url.path() == "/"
            && url.query().is_none();
        if (url.as_str() != text && !written_without_slash)
            || !url.username().is_empty()
            || url.password().is_some()
            || url.fragment().is_some()
            // Nothing that a parser leaves alone but another one may decode or cut off.
            || text.contains(['\\', '"', '<', '>', '^', '`', '{', '|', '}'])
        {
            return Err(UrlError::Malformed);
        }
        Ok(Self {
            host: host.to_owned(),
            port: url.port_or_known_default().ok_or(UrlError::Malformed)?,
            text: text.to_owned(),
            reach,
        })
    }

    /// Returns the URL as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the host to connect to.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn is_public_name(url: &::url::Url, host: &str) -> bool {
    matches!(url.host(), Some(::url::Host::Domain(_)))
        && host.len() <= 253
        && host
            .split('.')
            .all(|label| (1..=63).contains(&label.len()) && !label.starts_with('-'))
        && host
            .rsplit_once('.')
            .is_some_and(|(_, last)| last.starts_with(|c: char| c.is_ascii_alphabetic()))
        && !host.ends_with(".localhost")
}

impl fmt::Display for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpsUrl({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_url_stays_as_it_was_written() {
        for (text, host, port) in [
            ("https://login.example", "login.example", 443),
            ("https://login.example/", "login.example", 443),
            ("https://login.example/tenant/v2.0", "login.example", 443),
            (
                "https://login.example:8443/a?b=c&d=%20",
                "login.example",
                8443,
            ),
            (
                "https://xn--bcher-kva.example/x",
                "xn--bcher-kva.example",
                443,
            ),
        ] {
            let url = HttpsUrl::parse(text).unwrap();
            assert_eq!((url.as_str(), url.host(), url.port()), (text, host, port));
        }
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        for text in [
            "https://user@login.example",
            "https://user:pass@login.example/",
            "https://login.example@evil.example/",
            "https://login.example/#fragment",
            "https://login.example/#",
            "https://LOGIN.example/",
            "HTTPS://login.example/",
            "https:login.example",
            "https:/login.example",
            "https:///login.example",
            "https:\\\\login.example",
            "https://login.example\\@evil.example",
            "https://login.example:443/",
            "https://login.example:/",
            "https://login.example/a/../b",
            "https://login.example/%2e%2e/b",
            "https://login.example/a b",
            " https://login.example",
            "https://login.example\n",
            "https://lo\tgin.example",
            "https://login.example/\u{e9}",
            "https://b\u{fc}cher.example",
            "https://",
            "login.example",
            "",
        ] {
            assert_eq!(HttpsUrl::parse(text), Err(UrlError::Malformed), "{text:?}");
        }
        for text in [
            "http://login.example",
            "ftp://login.example/",
            "file://login.example/x",
        ] {
            assert_eq!(HttpsUrl::parse(text), Err(UrlError::NotHttps), "{text:?}");
        }
        let long = format!("https://login.example/{}", "a".repeat(MAX_URL_LEN));
        assert_eq!(HttpsUrl::parse(&long), Err(UrlError::TooLong));
    }

    #[test]
    fn a_provider_cannot_point_inside() {
        for text in [
            "https://169.254.169.254/latest/meta-data",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:169.254.169.254]/",
            "https://localhost/",
            "https://a.localhost/",
            "https://metadata/",
            "https://login.example./",
        ] {
            assert_eq!(HttpsUrl::parse(text), Err(UrlError::BadHost), "{text:?}");
        }
    }

    #[test]
    fn only_a_loopback_provider_names_loopback_addresses() {
        let inside = HttpsUrl::parse_loopback("http://127.0.0.1:4000").unwrap();
        assert!(inside.parse_named("http://127.0.0.1:4000/token").is_ok());
        let outside = HttpsUrl::parse("https://login.example").unwrap();
        assert_eq!(
            outside.parse_named("http://127.0.0.1:4000/token"),
            Err(UrlError::NotHttps)
        );
        assert_eq!(
            outside.parse_named("https://127.0.0.1:4000/token"),
            Err(UrlError::BadHost)
        );
    }

    #[test]
    fn a_path_is_added_once() {
        for base in ["https://a.example/t", "https://a.example/t/"] {
            let url = HttpsUrl::parse(base).unwrap();
            assert_eq!(
                url.join_path("/.well-known/x").unwrap().as_str(),
                "https://a.example/t/.well-known/x"
            );
        }
        let with_query = HttpsUrl::parse("https://a.example/t?x=1").unwrap();
        assert_eq!(with_query.join_path("/x"), Err(UrlError::Malformed));
    }

    proptest! {
        #[test]
        fn every_url_that_is_read_is_https_to_a_name(
            text in "https?://[a-z0-9.@:\\[\\]%-]{0,24}[/?#a-z.%\\\\]{0,12}|\\PC{0,60}"
        ) {
            if let Ok(url) = HttpsUrl::parse(&text) {
                let again = ::url::Url::parse(url.as_str()).unwrap();
                prop_assert_eq!(again.scheme(), "https");
                prop_assert_eq!(again.host_str(), Some(url.host()));
                prop_assert!(url.host().contains('.') && !url.as_str().contains(['#', '@', '\\']));
            }
        }
    }
}
