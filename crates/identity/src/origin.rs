//! Origins: where in the web a proof was made, as the browser or the wallet states it.
//!
//! An origin is compared byte for byte, so it must have one form only: ASCII, lower case, no
//! default port, no path. A name that merely looks like another (letters of other scripts, a
//! trailing dot, a user name before an `@`) is not of that form, or not equal.

use core::fmt;

/// Most bytes of an origin.
pub const MAX_ORIGIN_LEN: usize = 512;
const MAX_HOST_LEN: usize = 253;

/// The text is not an origin in the form that browsers state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an origin of the form https://host or https://host:port")]
pub struct OriginError;

/// An origin of a web page: `https://host`, `https://host:port`, or `http` on `localhost`.
///
/// RFC 6454 section 6.2.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    text: String,
    scheme_len: usize,
    host_len: usize,
}

impl Origin {
    /// Parses an origin as a project's settings or a browser states it.
    ///
    /// # Errors
    ///
    /// [`OriginError`] for whatever is not the one form: upper case, letters outside ASCII, a
    /// trailing dot, a default port, a path, `http` on another host than `localhost`.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        if text.len() > MAX_ORIGIN_LEN {
            return Err(OriginError);
        }
        let (scheme, authority) = text.split_once("://").ok_or(OriginError)?;
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        let default_port = match scheme {
            "https" if is_host(host) => "443",
            "http" if host == "localhost" => "80",
            _ => return Err(OriginError),
        };
        if let Some(port) = port {
            let canonical = port
                .parse::<u16>()
                .is_ok_and(|n| n.to_string() == port && n != 0);
            if !canonical || port == default_port {
                return Err(OriginError);
            }
        }
        Ok(Self {
            text: text.to_owned(),
            scheme_len: scheme.len(),
            host_len: host.len(),
        })
    }

    /// Returns the origin.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns `https` or `http`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.text.get(..self.scheme_len).unwrap_or_default()
    }

    /// Returns host and port: what sign-in messages call the domain.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.text.get(self.scheme_len + 3..).unwrap_or_default()
    }

    /// Returns the host, without the port.
    #[must_use]
    pub fn host(&self) -> &str {
        self.authority().get(..self.host_len).unwrap_or_default()
    }

    /// Says whether a URI is of this origin: equal to it, or it followed by `/`, `?` or `#`.
    #[must_use]
    pub fn contains(&self, uri: &str) -> bool {
        uri.strip_prefix(&self.text)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({})", self.text)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Says whether a text is a host name in lower case, without a trailing dot. No IPv6 addresses.
pub(crate) fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    host.len() <= MAX_HOST_LEN && host.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_its_parts() {
        for (text, scheme, authority, host) in [
            ("https://app.example", "https", "app.example", "app.example"),
            (
                "https://app.example:8443",
                "https",
                "app.example:8443",
                "app.example",
            ),
            (
                "http://localhost:3000",
                "http",
                "localhost:3000",
                "localhost",
            ),
            (
                "https://xn--bcher-kva.example",
                "https",
                "xn--bcher-kva.example",
                "xn--bcher-kva.example",
            ),
        ] {
            let origin = Origin::parse(text).unwrap();
            assert_eq!(
                (
                    origin.as_str(),
                    origin.scheme(),
                    origin.authority(),
                    origin.host()
                ),
                (text, scheme, authority, host)
            );
        }
    }

    #[test]
    fn second_spellings_and_homographs_are_refused() {
        for text in [
            "",
            "app.example",
            "https://",
            "https://App.example",
            "https://app.example.",
            "https://app.example/",
            "https://app.example/path",
            "https://app.example?x",
            "https://app.example:443",
            "http://localhost:80",
            "https://app.example:",
            "https://app.example:08443",
            "https://app.example:+8443",
            "https://app.example:0",
            "https://app.example:65536",
            "https://user@app.example",
            "https://app.example:x@evil.example",
            "http://app.example",
            "http://localhost.evil.example",
            "https://\u{430}pp.example",
            "https://app\u{3002}example",
            "https://-app.example",
            "https://app..example",
            " https://app.example",
            "https://app.example\n",
            "javascript://app.example",
            "null",
        ] {
            assert_eq!(Origin::parse(text), Err(OriginError), "{text:?}");
        }
        assert!(Origin::parse(&format!("https://{}", "a.".repeat(1 << 20))).is_err());
    }

    #[test]
    fn a_uri_of_a_longer_name_is_not_of_the_origin() {
        let origin = Origin::parse("https://app.example").unwrap();
        for uri in [
            "https://app.example",
            "https://app.example/login",
            "https://app.example?x",
            "https://app.example#x",
        ] {
            assert!(origin.contains(uri), "{uri}");
        }
        for uri in [
            "https://app.example.evil.example",
            "https://app.example:8443",
            "https://app.example@evil.example",
            "https://app.examplee/",
            "http://app.example/",
            "HTTPS://app.example/",
        ] {
            assert!(!origin.contains(uri), "{uri}");
        }
    }
}
