//! `docs/errors.md` lists exactly the codes that there are, with their status and sentence, and the
//! tests that it names exist.
//!
//! `UPDATE=1 cargo test -p keyfold-protocol --test error_docs` writes the table anew and keeps the
//! column of tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use keyfold_protocol::error_code::Code;

const BEGIN: &str = "<!-- codes: begin -->\n";
const END: &str = "<!-- codes: end -->";
const HEAD: &str = "| Code | Status | Sentence | Test |\n|---|---|---|---|\n";
/// Stands where no test is known.
const NONE: &str = "none yet";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The last column of each row, by code.
fn tests_of(table: &str) -> BTreeMap<String, String> {
    table
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.strip_prefix("| `")?.split(" | ").collect();
            let code = cells.first()?.strip_suffix('`')?;
            let test = cells.last()?.strip_suffix(" |")?;
            Some((code.to_owned(), test.to_owned()))
        })
        .collect()
}

fn table(tests: &BTreeMap<String, String>) -> String {
    let rows = Code::ALL.iter().map(|code| {
        let test = tests.get(code.as_str()).map_or(NONE, String::as_str);
        let (code, status, sentence) = (code.as_str(), code.status(), code.sentence());
        format!("| `{code}` | {status} | {sentence} | {test} |\n")
    });
    HEAD.to_owned() + &rows.collect::<String>()
}

/// Divides the page into what stands before the table, the table, and what stands behind it.
fn divide(page: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (table, behind) = rest.split_once(END)?;
    Some((before, table, behind))
}

/// Tests that the column names and that do not exist.
fn missing(tests: &BTreeMap<String, String>, load: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut missing = Vec::new();
    for (code, cell) in tests {
        if cell == NONE {
            continue;
        }
        let named: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        let found = match named.as_slice() {
            [file, name] => load(file).is_some_and(|text| text.contains(&format!("fn {name}("))),
            _ => false,
        };
        if !found {
            missing.push(format!("{code}: {cell}"));
        }
    }
    missing
}

#[test]
fn the_page_lists_exactly_the_codes_that_there_are() {
    let path = root().join("docs/errors.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, found, behind) = divide(&page).expect("the page has the marks of its table");
    let wanted = table(&tests_of(found));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{wanted}{END}{behind}")).unwrap();
    } else {
        assert_eq!(found, wanted, "write it anew with UPDATE=1");
    }
}

#[test]
fn the_tests_that_the_page_names_exist() {
    let page = std::fs::read_to_string(root().join("docs/errors.md")).unwrap();
    let (_, found, _) = divide(&page).expect("the page has the marks of its table");
    let load = |file: &str| std::fs::read_to_string(root().join(file)).ok();
    assert_eq!(missing(&tests_of(found), load), Vec::<String>::new());
}

#[test]
fn a_code_that_is_gone_and_a_test_that_is_gone_are_found() {
    let page = "| `no_such_code` | 400 | It was. | none yet |\n| `internal` | 500 | S. | `a.rs` `gone` |\n";
    let tests = tests_of(page);
    assert_eq!(tests.len(), 2);
    assert!(!table(&tests).contains("no_such_code"));
    assert!(table(&tests).contains("`a.rs` `gone`"));
    let load = |_: &str| Some("fn here()".to_owned());
    assert_eq!(missing(&tests, load), ["internal: `a.rs` `gone`"]);
}
