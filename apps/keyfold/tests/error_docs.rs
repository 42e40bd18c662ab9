//! `docs/errors.md` lists exactly the codes of the client and of the command line, with their exit
//! codes and meanings, and the tests that it names exist.
//!
//! `UPDATE=1 cargo test -p keyfold-cli --test error_docs` writes the table anew and keeps the column
//! of tests. The table of what others answer is tested in `crates/protocol`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use keyfold_cli::{CliCode, Exit};
use keyfold_client::ClientCode;
use keyfold_protocol::error_code::Code;

const BEGIN: &str = "<!-- own codes: begin -->\n";
const END: &str = "<!-- own codes: end -->";
const HEAD: &str = "| Code | Exit | Meaning | Test |\n|---|---|---|---|\n";
const NONE: &str = "none yet";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Code, exit code, meaning.
fn codes() -> Vec<(&'static str, Exit, &'static str)> {
    let client = ClientCode::ALL
        .iter()
        .map(|code| (code.as_str(), Exit::of_code(*code), code.meaning()));
    let own = CliCode::ALL
        .iter()
        .map(|code| (code.as_str(), code.exit(), code.meaning()));
    client.chain(own).collect()
}

/// The last column of each row, by code.
fn tests_of(table: &str) -> BTreeMap<String, String> {
    let rows = table.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| `")?.split(" | ").collect();
        let code = cells.first()?.strip_suffix('`')?;
        Some((
            code.to_owned(),
            cells.last()?.strip_suffix(" |")?.to_owned(),
        ))
    });
    rows.collect()
}

fn table(tests: &BTreeMap<String, String>) -> String {
    let rows = codes().into_iter().map(|(code, exit, meaning)| {
        let test = tests.get(code).map_or(NONE, String::as_str);
        format!("| `{code}` | {} | {meaning} | {test} |\n", exit as u8)
    });
    HEAD.to_owned() + &rows.collect::<String>()
}

#[test]
fn the_page_lists_exactly_the_codes_that_there_are() {
    let path = root().join("docs/errors.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the mark before the table");
    let (found, behind) = rest.split_once(END).expect("the mark behind the table");
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
    let (_, rest) = page.split_once(BEGIN).unwrap();
    for (code, cell) in tests_of(rest) {
        if cell == NONE {
            continue;
        }
        let named: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        let [file, name] = named.as_slice() else {
            panic!("{code}: {cell}")
        };
        let text = std::fs::read_to_string(root().join(file)).unwrap_or_default();
        assert!(text.contains(&format!("fn {name}(")), "{code}: {cell}");
    }
}

#[test]
fn one_code_means_one_thing() {
    let mut seen: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    for (code, _, meaning) in codes() {
        assert!(seen.insert(code), "{code} is there twice");
        assert!(meaning.ends_with('.'), "{code}");
    }
}
