use proptest::prelude::*;

use super::*;

fn compose(to: &str, project: &str, code: &str) -> String {
    let mail = ComposedMail::with_code(
        &Sender {
            name: DisplayName::parse("Sign-in").unwrap(),
            address: EmailAddress::parse("noreply@realm.example").unwrap(),
        },
        &EmailAddress::parse(to).unwrap(),
        &DisplayName::parse(project).unwrap(),
        &CodeTexts::default(),
        &OneTimeCode::parse(code).unwrap(),
        784_111_777,
        [0xab; 16],
    )
    .unwrap();
    assert_eq!(mail.to().as_str(), to);
    assert_eq!(mail.from().as_str(), "noreply@realm.example");
    mail.message()
        .expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

fn notice(notice: &Notice, project: &str) -> String {
    let mail = ComposedMail::with_notice(
        &Sender {
            name: DisplayName::parse("Sign-in").unwrap(),
            address: EmailAddress::parse("noreply@realm.example").unwrap(),
        },
        &EmailAddress::parse("anna@mail.example").unwrap(),
        &DisplayName::parse(project).unwrap(),
        notice,
        784_111_777,
        [0xab; 16],
    )
    .unwrap();
    assert_eq!(mail.to().as_str(), "anna@mail.example");
    mail.message()
        .expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

fn headers(message: &str) -> Vec<&str> {
    message
        .split_once("\r\n\r\n")
        .unwrap()
        .0
        .split("\r\n")
        .collect()
}

#[test]
fn the_mail_reads_as_documented() {
    let message = compose("anna@mail.example", "Demo & Co.", "01234567");
    assert_eq!(
        headers(&message),
        [
            "From: Sign-in <noreply@realm.example>",
            "To: anna@mail.example",
            "Date: Sun, 06 Nov 1994 08:49:37 +0000",
            "Message-ID: <abababababababababababababababab@realm.example>",
            "Subject: Your sign-in code for Demo & Co.",
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: 7bit",
        ]
    );
    assert!(
        message.contains("is\r\n\r\n01234567\r\n\r\nIt works once"),
        "{message}"
    );
    assert!(!message.contains("http"));
}

#[test]
fn a_notice_says_what_happened_to_which_key_and_when_and_links_nowhere() {
    let device = Thumbprint([7; 32]);
    let changed = |what| Notice::Changed { what, device };
    for (told, subject, says) in [
        (
            Notice::NewDevice {
                device,
                waits: true,
            },
            "Subject: A new device signed in to Demo",
            "cannot act yet",
        ),
        (
            Notice::NewDevice {
                device,
                waits: false,
            },
            "Subject: A new device signed in to Demo",
            "may act for your account from now on",
        ),
        (
            Notice::DeviceRevoked { device },
            "Subject: A device was taken off your account at Demo",
            "was taken off your account",
        ),
        (
            Notice::OtherDevicesRevoked { left: device },
            "Subject: All other devices were taken off your account at Demo",
            "All devices but one",
        ),
        (
            changed(Changed::Linked),
            "Subject: Another way to sign in was added to your account at Demo",
            "was added to your account",
        ),
        (
            changed(Changed::Unlinked),
            "Subject: A way to sign in was taken off your account at Demo",
            "was taken off your account",
        ),
        (
            changed(Changed::Password),
            "Subject: A new password was set for your account at Demo",
            "was set for your account",
        ),
        (
            changed(Changed::SecondFactor),
            "Subject: A second factor was added to your account at Demo",
            "was added to your account",
        ),
        (
            changed(Changed::NoSecondFactor),
            "Subject: The second factor was taken off your account at Demo",
            "was taken off your account",
        ),
    ] {
        let message = notice(&told, "Demo");
        let head = headers(&message);
        assert!(head.contains(&subject), "{message}");
        assert!(head.contains(&"Auto-Submitted: auto-generated"));
        assert!(head.contains(&"Content-Type: text/plain; charset=utf-8"));
        for part in [says, &device.to_string(), "Sun, 06 Nov 1994 08:49:37 GMT"] {
            assert!(message.contains(part), "{message}");
        }
        assert!(!message.contains("http") && !message.contains("://"));
        // Nothing that could be taken for a code.
        let digits = |line: &str| line.len() == 8 && line.bytes().all(|b| b.is_ascii_digit());
        assert!(!message.lines().any(digits));
    }
}

#[test]
fn the_subject_and_the_other_headers_hold_no_code() {
    let message = compose("anna@mail.example", "Demo", "98765432");
    for header in headers(&message) {
        assert!(!header.contains("98765432"), "{header}");
    }
    assert_eq!(message.matches("98765432").count(), 1);
}

#[test]
fn names_that_could_break_a_header_or_pass_for_an_address_are_refused() {
    for bad in [
        "",
        " ",
        " Demo",
        "Demo ",
        "De  mo",
        "Demo\r\nBcc: b@y.example",
        "Demo\n",
        "De\tmo",
        "De\0mo",
        "a@b.example",
        "<b>",
        "\"Demo\"",
        "https://evil.example",
        "Demo;",
        "De\\mo",
        "=?utf-8?q?x?=",
        "De\u{202e}mo",
        "De\u{200b}mo",
        "De\u{2028}mo",
        "De\u{a0}mo",
        "De\u{3164}mo",
        "\u{115f}\u{1160}\u{ffa0}",
    ] {
        assert_eq!(DisplayName::parse(bad), Err(DisplayNameError), "{bad:?}");
    }
    assert!(DisplayName::parse(&"a".repeat(64)).is_ok());
    assert!(DisplayName::parse(&"a".repeat(65)).is_err());
    assert!(DisplayName::parse(&"\u{6f22}".repeat(64)).is_ok());
    assert!(DisplayName::parse(&"a".repeat(10 << 20)).is_err());
}

#[test]
fn nothing_of_the_mail_is_printed() {
    let mail = ComposedMail::with_code(
        &Sender {
            name: DisplayName::parse("Demo").unwrap(),
            address: EmailAddress::parse("noreply@realm.example").unwrap(),
        },
        &EmailAddress::parse("anna@mail.example").unwrap(),
        &DisplayName::parse("Demo").unwrap(),
        &CodeTexts::default(),
        &OneTimeCode::parse("98765432").unwrap(),
        u64::MAX,
        [0; 16],
    )
    .unwrap();
    let printed = format!("{mail:?}");
    assert!(
        !printed.contains("98765432") && !printed.contains("anna"),
        "{printed}"
    );
}

proptest! {
    /// Whatever address and name parse, the headers are these nine and the lines stay short.
    #[test]
    fn no_accepted_input_adds_a_header(
        local in "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\\.[a-z0-9]{1,10}){0,2}",
        domain in "[a-z0-9]{1,20}(-[a-z0-9]{1,5})?\\.[a-z]{2,10}",
        name in "[\\p{L}\\p{N} .,'&+!()-]{1,64}",
    ) {
        let to = EmailAddress::parse(&format!("{local}@{domain}")).unwrap();
        if let Ok(project) = DisplayName::parse(&name) {
            for message in [
                compose(to.as_str(), project.as_str(), "01234567"),
                notice(&Notice::DeviceRevoked { device: Thumbprint([7; 32]) }, project.as_str()),
            ] {
                let (head, _) = message.split_once("\r\n\r\n").unwrap();
                // Continued lines begin with a space.
                let names: Vec<_> = head
                    .split("\r\n")
                    .filter(|line| !line.starts_with(' '))
                    .map(|line| line.split_once(':').unwrap().0)
                    .collect();
                prop_assert_eq!(names, [
                    "From", "To", "Date", "Message-ID", "Subject", "Auto-Submitted", "MIME-Version",
                    "Content-Type", "Content-Transfer-Encoding",
                ]);
                prop_assert!(message.is_ascii());
                prop_assert!(message.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])));
            }
        }
    }
}

#[test]
fn a_projects_own_words_stand_around_the_code_and_the_warning_stays() {
    let texts = CodeTexts::parse(
        Some("{project}: dein Code"),
        Some("Hallo! Dein Code f\u{fc}r {project} ist:"),
    )
    .unwrap();
    let message = ComposedMail::with_code(
        &Sender {
            name: DisplayName::parse("Demo").unwrap(),
            address: EmailAddress::parse("noreply@realm.example").unwrap(),
        },
        &EmailAddress::parse("anna@mail.example").unwrap(),
        &DisplayName::parse("Demo").unwrap(),
        &texts,
        &OneTimeCode::parse("98765432").unwrap(),
        0,
        [0; 16],
    )
    .unwrap();
    let text = message
        .message()
        .expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
    assert!(
        headers(&text).contains(&"Subject: Demo: dein Code"),
        "{text}"
    );
    assert!(text.contains("Demo ist:\r\n\r\n98765432\r\n"), "{text}");
    assert!(text.contains("Nobody who means well"));
}

#[test]
fn texts_show_no_link_no_address_no_other_number_and_break_no_header() {
    use CodeTextError::{Character, Length, Link, Number, Placeholder};
    for (text, error) in [
        ("", Length),
        ("evil.example has your code", Link),
        ("see evil.example.", Link),
        ("see https://evil.example", Character),
        ("see https:evil", Link),
        ("{project}.evil says", Link),
        ("write to a@evil.example", Character),
        ("code\r\nBcc: x", Character),
        ("code\u{202e}", Character),
        ("code\u{3164}", Character),
        ("a  b", Character),
        ("your code is 1234", Number),
        ("your code is \u{661}\u{662}\u{663}\u{664}", Number),
        ("for {user}", Placeholder),
        ("for {project", Placeholder),
    ] {
        assert_eq!(CodeTexts::parse(Some(text), None), Err(error), "{text:?}");
        assert_eq!(CodeTexts::parse(None, Some(text)), Err(error), "{text:?}");
    }
    let long = |chars| "\u{6f22}".repeat(chars);
    assert!(CodeTexts::parse(Some(&long(100)), Some(&long(300))).is_ok());
    assert_eq!(CodeTexts::parse(Some(&long(101)), None), Err(Length));
    assert_eq!(CodeTexts::parse(None, Some(&long(301))), Err(Length));
    assert_eq!(
        CodeTexts::parse(None, Some(&"a".repeat(1 << 24))),
        Err(Length)
    );
}
