//! The browser origins that an operator lets in.

use std::fmt;
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderValue, header::ORIGIN};

/// An origin as browsers write it: `https://app.example`, without a path and without the scheme's own
/// port. Plain HTTP is for loopback names alone.
///
/// RFC 6454 section 6.2.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BrowserOrigin(String);

/// The text is no origin of a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an origin, such as https://app.example")]
pub struct OriginError;

impl BrowserOrigin {
    /// Returns the text, as it stands in the header `origin`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BrowserOrigin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let (scheme, authority) = text.split_once("://").ok_or(OriginError)?;
        let (host, port) = match authority.rsplit_once(':') {
            // Colons within an IPv6 address.
            Some((_, rest)) if rest.ends_with(']') => (authority, None),
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        let loopback = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
        let usual = match scheme {
            "https" => 443,
            "http" if loopback => 80,
            _ => return Err(OriginError),
        };
        if !loopback && host.parse::<keyfold_protocol::ids::ProjectId>().is_err() {
            return Err(OriginError);
        }
        if let Some(port) = port {
            let number: u16 = port.parse().map_err(|_| OriginError)?;
            if number == usual || number == 0 || number.to_string() != port {
                return Err(OriginError);
            }
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for BrowserOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origins(Vec<BrowserOrigin>);

impl Origins {
    pub(crate) fn new(origins: &[BrowserOrigin]) -> Self {
        Self(origins.to_vec())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells whether an origin is on the list.
    pub(crate) fn allow(&self, origin: &HeaderValue) -> bool {
        self.0
            .iter()
            .any(|known| known.as_str().as_bytes() == origin.as_bytes())
    }

    /// Tells whether cookies of a request count: it comes from an origin on the list, or from no
    /// browser. Browsers name the origin of every `POST`.
    pub(crate) fn allow_cookies(&self, headers: &HeaderMap) -> bool {
        headers
            .get_all(ORIGIN)
            .iter()
            .all(|origin| self.allow(origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        for good in [
            "https://app.example",
            "https://app.example:8443",
            "http://localhost:5173",
            "http://127.0.0.1",
            "http://[::1]:3000",
            "https://[::1]",
        ] {
            assert_eq!(good.parse::<BrowserOrigin>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "*",
            "null",
            "https://*",
            "https://*.example",
            "app.example",
            "https://",
            "https://app.example/",
            "https://app.example/path",
            "https://App.example",
            "https://app.example:443",
            "https://app.example:0",
            "https://app.example:08443",
            "https://app.example:99999",
            "https://user@app.example",
            "https://app.example https://other.example",
            "http://app.example",
            "http://localhost:80",
            "http://localhost.evil.example",
            "ftp://localhost",
        ] {
            assert_eq!(bad.parse::<BrowserOrigin>(), Err(OriginError), "{bad}");
        }
    }

    #[test]
    fn cookies_count_for_listed_origins_and_where_no_browser_is() {
        let origins = Origins::new(&["https://app.example".parse().unwrap()]);
        let from = |origins: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for origin in origins {
                headers.append(ORIGIN, HeaderValue::from_static(origin));
            }
            headers
        };
        assert!(origins.allow_cookies(&from(&[])));
        assert!(origins.allow_cookies(&from(&["https://app.example"])));
        for foreign in [
            &["https://evil.example"][..],
            &["null"],
            &[""],
            &["https://app.example.evil.example"],
            &["http://app.example"],
            &["https://app.example", "https://evil.example"],
        ] {
            assert!(!origins.allow_cookies(&from(foreign)), "{foreign:?}");
        }
        assert!(!Origins::default().allow_cookies(&from(&["https://app.example"])));
    }
}
