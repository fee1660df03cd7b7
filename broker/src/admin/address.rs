//! Reads `klamm.admin.listener`.
//!
//! Invariant: what is taken has a host, or means all interfaces, and a port.

use std::fmt;

/// Where the HTTP port listens; without a host on all interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AdminAddress {
    pub(crate) host: Option<String>,
    pub(crate) port: u16,
}

/// Why a text is no address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AddressError {
    #[error("TLS is not served here: expected host:port or http://host:port")]
    Tls,
    #[error("expected host:port or http://host:port, for example 127.0.0.1:8080")]
    Shape,
    #[error("the port {0:?} is no number from 0 to 65535")]
    Port(String),
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host.as_deref().unwrap_or("*"), self.port)
    }
}

impl AdminAddress {
    /// `host:port`, `http://host:port`, `:port` and `[v6]:port`.
    pub(crate) fn parse(text: &str) -> Result<AdminAddress, AddressError> {
        let text = text.trim();
        let lower = text.to_ascii_lowercase();
        if lower.starts_with("https:") {
            return Err(AddressError::Tls);
        }
        let rest = if lower.starts_with("http://") {
            text.get("http://".len()..).unwrap_or_default()
        } else {
            text
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = rest.rsplit_once(':').ok_or(AddressError::Shape)?;
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        if host.contains('/') || (bare.is_none() && host.contains(':')) {
            return Err(AddressError::Shape);
        }
        let host = bare.unwrap_or(host);
        let port = port
            .parse()
            .map_err(|_| AddressError::Port(port.to_owned()))?;
        Ok(AdminAddress {
            host: (!host.is_empty() && host != "*").then(|| host.to_owned()),
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(Option<String>, u16)> {
        let address = AdminAddress::parse(text).ok()?;
        Some((address.host, address.port))
    }

    #[test]
    fn addresses_are_read_with_and_without_a_scheme() {
        let local = Some((Some("127.0.0.1".to_owned()), 8080));
        assert_eq!(parsed("127.0.0.1:8080"), local);
        assert_eq!(parsed(" http://127.0.0.1:8080/ "), local);
        assert_eq!(parsed("HTTP://127.0.0.1:8080"), local);
        assert_eq!(parsed(":0"), Some((None, 0)));
        assert_eq!(parsed("http://:8080"), Some((None, 8080)));
        assert_eq!(parsed("[::1]:8080"), Some((Some("::1".to_owned()), 8080)));
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_reason() {
        for text in [
            "",
            "8080",
            "http://",
            "host",
            "::1:8080",
            "http://a/b:1",
            "ftp://a:1",
        ] {
            assert!(
                matches!(AdminAddress::parse(text), Err(AddressError::Shape)),
                "{text}"
            );
        }
        for text in ["a:", "a:65536", "a:-1", "a:http"] {
            assert!(
                matches!(AdminAddress::parse(text), Err(AddressError::Port(_))),
                "{text}"
            );
        }
        let tls = AdminAddress::parse("https://a:1");
        assert!(matches!(tls, Err(AddressError::Tls)));
    }
}
