//! Texts that a person chose or reads: what must not be in them.
//!
//! One list for all who take names (enclave, client) and all who show what others sent (client,
//! command line), so that what one lets in the other does not hide.

use core::ops::RangeInclusive;

/// Longest name, characters.
pub const MAX_NAME: usize = 64;

/// What shows nothing, or makes text appear in another order than it is in: the general categories
/// Cf, Zl and Zp, and everything with the property `Default_Ignorable_Code_Point`. Cc is
/// [`char::is_control`].
///
/// The property covers the places that are reserved for such characters, so a new version of Unicode
/// adds little here. Unicode 16.0, `DerivedGeneralCategory.txt` and `DerivedCoreProperties.txt`.
const HIDDEN: &[RangeInclusive<char>] = &[
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{600}'..='\u{605}',
    '\u{61c}'..='\u{61c}',
    '\u{6dd}'..='\u{6dd}',
    '\u{70f}'..='\u{70f}',
    '\u{890}'..='\u{891}',
    '\u{8e2}'..='\u{8e2}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    '\u{110bd}'..='\u{110bd}',
    '\u{110cd}'..='\u{110cd}',
    '\u{13430}'..='\u{1343f}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
];

/// Tells whether a character is a control character, is not seen, or changes how those around it are
/// seen.
pub fn is_hidden(c: char) -> bool {
    c.is_control() || HIDDEN.iter().any(|range| range.contains(&c))
}

/// Tells whether a text can name a wallet or a device: 1 to [`MAX_NAME`] characters, none hidden.
pub fn is_name(text: &str) -> bool {
    // Bytes first, so that a long text is not walked.
    (1..=4 * MAX_NAME).contains(&text.len())
        && text.chars().count() <= MAX_NAME
        && !text.chars().any(is_hidden)
}

/// Keeps what can be shown as it is: nothing hidden, at most `most` characters.
pub fn printable(text: &str, most: usize) -> String {
    text.chars().filter(|c| !is_hidden(*c)).take(most).collect()
}

#[cfg(test)]
mod tests {
    use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

    use super::*;

    #[test]
    fn no_format_or_control_character_and_no_separator_of_lines_is_missing() {
        for c in '\0'..=char::MAX {
            let category = c.general_category();
            let hides = matches!(
                category,
                GeneralCategory::Control
                    | GeneralCategory::Format
                    | GeneralCategory::LineSeparator
                    | GeneralCategory::ParagraphSeparator
            );
            assert!(!hides || is_hidden(c), "{c:?} is {category:?}");
        }
    }

    #[test]
    fn what_looks_empty_or_turns_around_is_no_name() {
        let hidden = "\u{ad}\u{61c}\u{115f}\u{200b}\u{200d}\u{202e}\u{2060}\u{2066}\u{2069}\u{206f}\
                      \u{3164}\u{fe0f}\u{feff}\u{e0001}\u{e0041}\n\u{7f}\u{9b}";
        for c in hidden.chars() {
            assert!(!is_name(&format!("savings{c}")), "{c:?}");
        }
        assert_eq!(printable(&format!("a{hidden}b"), 2), "ab");
    }

    #[test]
    fn names_of_all_scripts_are_names_up_to_their_length() {
        for name in [
            "main",
            "Ersparnisse für später",
            "貯金",
            "حساب التوفير",
            "बचत",
            "🐷 2",
        ] {
            assert!(is_name(name), "{name}");
            assert_eq!(printable(name, 64), name);
        }
        assert!(is_name(&"🐷".repeat(64)));
        for bad in ["", &"🐷".repeat(65), &"x".repeat(65)] {
            assert!(!is_name(bad));
        }
    }
}
