//! What a person types to sign in.

use keyfold_identity::mail::DisplayName;
use keyfold_identity::{EmailAddress, OneTimeCode};

use crate::reached;

/// An address that is read is in its one form, and has no character that a mail header or server
/// gives a meaning to. So too codes and names.
pub fn email(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    if let Ok(address) = EmailAddress::parse(text) {
        reached();
        let form = address.as_str();
        assert!(form.eq_ignore_ascii_case(text));
        assert_eq!(EmailAddress::parse(form), Ok(address.clone()));
        assert_eq!(format!("{}@{}", address.local(), address.domain()), form);
        assert!(form.len() <= 254 && address.local().len() <= 64);
        let harmless = |b: u8| b.is_ascii_graphic() && !b"<>()[]\\,;:\"".contains(&b);
        assert!(form.bytes().all(harmless));
        assert_eq!(form.matches('@').count(), 1);
        assert!(!address.local().is_empty() && address.domain().contains('.'));
    }
    if let Ok(code) = OneTimeCode::parse(text) {
        assert_eq!(text.len(), 8);
        code.expose(|digits| assert_eq!(digits, text));
    }
    if let Ok(name) = DisplayName::parse(text) {
        assert_eq!(name.as_str(), text);
        assert!(
            !text
                .chars()
                .any(|c| c.is_control() || "@/:<>\"\\\u{202e}".contains(c))
        );
    }
}
