use axum::body::Body;
use keyfold_protocol::delivery::{SEALED_LEN, SEALED_TEXT_LEN};

use super::*;

const SLOT: CookieSlot = CookieSlot::from_bytes([0xab; 8]);
const OTHER: CookieSlot = CookieSlot::from_bytes([0xac; 8]);

fn sealed(fill: u8) -> SealedSession {
    SealedSession::from_bytes(&[fill; SEALED_LEN]).unwrap()
}

fn headers(slot: Option<&str>, cookies: &[String]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(slot) = slot {
        headers.append(NAMED, HeaderValue::from_str(slot).unwrap());
    }
    for cookie in cookies {
        headers.append(COOKIE, HeaderValue::from_bytes(cookie.as_bytes()).unwrap());
    }
    headers
}

fn pair(slot: CookieSlot, fill: u8) -> String {
    format!("__Host-keyfold-{slot}={}", sealed(fill).as_str())
}

#[test]
fn the_named_cookie_is_found_among_others_and_no_other_is_taken_for_it() {
    let slot = SLOT.to_string();
    let others = format!("a=b; {}; c", pair(OTHER, 2));
    for cookies in [
        vec![pair(SLOT, 1)],
        vec![format!("{others}; {}", pair(SLOT, 1))],
        vec![format!("{};{others}", pair(SLOT, 1))],
        // As HTTP/2 splits them.
        vec![others.clone(), pair(SLOT, 1), "x=y".to_owned()],
    ] {
        let found = named(&headers(Some(&slot), &cookies)).unwrap();
        assert!(found == Some(sealed(1)), "{} fields", cookies.len());
        assert!(named(&headers(None, &cookies)).unwrap().is_none());
    }
    for none in [
        Vec::new(),
        vec![others.clone()],
        vec![format!("x{}", pair(SLOT, 1))],
        vec![pair(SLOT, 1).replace("__Host-", "__Secure-")],
        vec![pair(SLOT, 1).replace("__Host-", "__host-")],
        vec![pair(SLOT, 1).replace(&slot, &slot[..15])],
        vec![format!("a=\"{}\"", pair(SLOT, 1))],
    ] {
        assert!(named(&headers(Some(&slot), &none)).unwrap().is_none());
    }
}

#[test]
fn two_cookies_of_one_name_are_refused_wherever_they_stand() {
    let slot = SLOT.to_string();
    for cookies in [
        vec![format!("{}; {}", pair(SLOT, 1), pair(SLOT, 2))],
        vec![format!("{}; {}", pair(SLOT, 1), pair(SLOT, 1))],
        vec![pair(SLOT, 1), pair(SLOT, 2)],
        vec![pair(SLOT, 1), format!("__Host-keyfold-{slot}=")],
    ] {
        assert!(named(&headers(Some(&slot), &cookies)).is_err());
    }
}

#[test]
fn a_cookie_that_is_cut_too_long_or_of_other_characters_is_refused() {
    let slot = SLOT.to_string();
    let text = sealed(1).as_str().to_owned();
    for value in [
        String::new(),
        text[1..].to_owned(),
        format!("{text}A"),
        "A".repeat(20_000),
        format!("\"{}\"", &text[2..]),
        format!("{}=", &text[1..]),
        format!("{} A", &text[2..]),
        "\u{e4}".repeat(SEALED_TEXT_LEN / 2),
    ] {
        let cookie = format!("__Host-keyfold-{slot}={value}");
        assert!(named(&headers(Some(&slot), &[cookie])).is_err(), "{value}");
    }
}

#[test]
fn a_name_that_is_none_is_refused() {
    for bad in [
        "",
        "ab",
        &"AB".repeat(8),
        &"ab".repeat(9),
        "../../../../abcd",
        "abababababababa=",
    ] {
        assert!(named(&headers(Some(bad), &[])).is_err(), "{bad}");
    }
    let mut twice = headers(Some(&SLOT.to_string()), &[]);
    twice.append(NAMED, HeaderValue::from_str(&SLOT.to_string()).unwrap());
    assert!(named(&twice).is_err());
}

#[test]
fn a_cookie_is_of_this_host_alone_out_of_reach_of_scripts_and_partitioned() {
    let set = |change: &CookieChange| {
        let mut response = Response::new(Body::empty());
        apply(change, &mut response);
        let values: Vec<_> = response.headers().get_all(SET_COOKIE).iter().collect();
        assert_eq!(values.len(), 1);
        assert!(values[0].is_sensitive());
        values[0].to_str().unwrap().to_owned()
    };
    let value = sealed(1);
    let kept = set(&CookieChange::Set {
        slot: SLOT,
        seconds: 604_800,
        sealed: value.clone(),
    });
    let attributes = "Path=/; Secure; HttpOnly; SameSite=None; Partitioned";
    let expected = format!("{}; {attributes}; Max-Age=604800", pair(SLOT, 1));
    assert_eq!(kept, expected);
    // Browsers refuse a pair above 4,096 bytes, and attributes above 1,024.
    assert!(pair(SLOT, 1).len() <= 4_096);
    // The same name and partition, or it would stay.
    let cleared = set(&CookieChange::Clear { slot: SLOT });
    let expected = format!("__Host-keyfold-{SLOT}=; {attributes}; Max-Age=0");
    assert_eq!(cleared, expected);
}

#[test]
fn what_an_enclave_wants_is_read_whole_or_not_at_all() {
    let read = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(SET_SESSION, HeaderValue::from_str(value).unwrap());
        }
        wanted(&headers)
    };
    assert!(matches!(read(&[]), Wanted::Nothing));
    let clear = format!("{SLOT} 0");
    assert!(matches!(
        read(&[&clear]),
        Wanted::Change(CookieChange::Clear { slot: SLOT })
    ));
    let injected = format!("{SLOT} 60 {}; Domain=example", sealed(1).as_str());
    for bad in [&[""][..], &[&clear, &clear], &[&injected], &["x"]] {
        assert!(matches!(read(bad), Wanted::Unreadable), "{bad:?}");
    }
}
