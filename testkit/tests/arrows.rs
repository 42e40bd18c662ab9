//! Keeps the layers of ARCHITECTURE.md: which crate of this workspace may use which, and what the
//! pure crates and the released programs may never reach.
//!
//! The rules are functions over a small graph, so that each is also shown to fail (module
//! `rules_that_fail`). A new crate needs a row in [`LAYERS`]; a row says the decision.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Each crate of the workspace, what it is, and what it may use. What a used crate may itself use
/// comes with it.
const LAYERS: &[(&str, Kind, &[&str])] = &[
    ("keyfold-crypto", Kind::Pure, &[]),
    ("keyfold-attest", Kind::Pure, &[]),
    ("keyfold-wallet", Kind::Pure, &[]),
    ("keyfold-log", Kind::Pure, &[]),
    (
        "keyfold-protocol",
        Kind::Pure,
        &[
            "keyfold-crypto",
            "keyfold-attest",
            "keyfold-wallet",
            "keyfold-log",
        ],
    ),
    (
        "keyfold-identity",
        Kind::Pure,
        &["keyfold-crypto", "keyfold-wallet"],
    ),
    (
        "keyfold-guard",
        Kind::Pure,
        &["keyfold-wallet", "keyfold-protocol"],
    ),
    (
        "keyfold-enclave",
        Kind::Pure,
        &["keyfold-protocol", "keyfold-identity"],
    ),
    (
        "keyfold-client",
        Kind::Pure,
        &["keyfold-protocol", "keyfold-guard"],
    ),
    ("keyfold-chain", Kind::Io, &["keyfold-wallet"]),
    (
        "keyfold-storage",
        Kind::Io,
        &["keyfold-crypto", "keyfold-log"],
    ),
    ("keyfold-net", Kind::Io, &["keyfold-protocol"]),
    (
        "keyfold-holder-service",
        Kind::Service,
        &[
            "keyfold-protocol",
            "keyfold-identity",
            "keyfold-storage",
            "keyfold-net",
        ],
    ),
    (
        "keyfold-gateway-service",
        Kind::Service,
        &["keyfold-protocol", "keyfold-storage", "keyfold-net"],
    ),
    (
        "keyfold-guard-service",
        Kind::Service,
        &[
            "keyfold-guard",
            "keyfold-chain",
            "keyfold-storage",
            "keyfold-net",
        ],
    ),
    (
        "keyfold-relayer-service",
        Kind::Service,
        &[
            "keyfold-protocol",
            "keyfold-chain",
            "keyfold-storage",
            "keyfold-net",
        ],
    ),
    ("keyfold-eif", Kind::Pure, &["keyfold-attest"]),
    (
        "keyfold-enclave-runtime",
        Kind::Io,
        &["keyfold-enclave", "keyfold-net"],
    ),
    (
        "keyfold-platform-nitro",
        Kind::Io,
        &["keyfold-enclave-runtime"],
    ),
    (
        "keyfold-platform-dev",
        Kind::DevelopmentOnly,
        &["keyfold-enclave-runtime"],
    ),
    (
        "keyfold-cli",
        Kind::Released,
        &[
            "keyfold-client",
            "keyfold-holder-service",
            "keyfold-gateway-service",
            "keyfold-guard-service",
            "keyfold-relayer-service",
        ],
    ),
    (
        "keyfold-holder",
        Kind::Released,
        &["keyfold-holder-service"],
    ),
    (
        "keyfold-enclave-program",
        Kind::Released,
        &["keyfold-platform-nitro"],
    ),
    ("keyfold-image", Kind::Released, &["keyfold-eif"]),
    (
        "keyfold-dev",
        Kind::DevelopmentOnly,
        &[
            "keyfold-cli",
            "keyfold-platform-dev",
            "keyfold-platform-nitro",
            "keyfold-eif",
        ],
    ),
    (
        "keyfold-testkit",
        Kind::DevelopmentOnly,
        &["keyfold-dev", "keyfold-cli", "keyfold-platform-dev"],
    ),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// No runtime, network, database: everything from outside is an argument.
    Pure,
    /// A library that talks to disks, networks, chains.
    Io,
    /// A role. Meets the others over the network only.
    Service,
    /// A program in the release archive.
    Released,
    /// In no release archive, and used by nothing that is.
    DevelopmentOnly,
}

/// What a pure crate must not reach, however far away.
const AMBIENT: &[&str] = &[
    "async-std",
    "axum",
    "hyper",
    "hyper-util",
    "mio",
    "native-tls",
    "openssl-sys",
    "reqwest",
    "rusqlite",
    "smol",
    "socket2",
    "sqlx",
    "sqlx-core",
    "tokio",
    "tokio-rustls",
    "tower-http",
    "ureq",
];

/// Who uses whom: packages by name. Different versions of one package are one node here, which can
/// only make a rule stricter.
#[derive(Default)]
struct Graph {
    members: BTreeSet<String>,
    /// What is linked: normal dependencies, as resolved.
    linked: BTreeMap<String, BTreeSet<String>>,
    /// What only tests and build scripts of workspace crates use, as declared.
    aside: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn of_this_workspace() -> Self {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
        let metadata = MetadataCommand::new()
            .manifest_path(manifest)
            .other_options(vec!["--locked".to_owned()])
            .exec()
            .expect("cargo metadata");
        let name_of: BTreeMap<_, _> = metadata
            .packages
            .iter()
            .map(|package| (&package.id, package.name.to_string()))
            .collect();
        let mut graph = Self::default();
        for id in &metadata.workspace_members {
            graph.members.insert(name_of[id].clone());
        }
        for node in &metadata.resolve.as_ref().expect("a resolved graph").nodes {
            let from = &name_of[&node.id];
            for dependency in &node.deps {
                let to = name_of[&dependency.pkg].clone();
                for kind in &dependency.dep_kinds {
                    match kind.kind {
                        DependencyKind::Normal => graph.link(from, &to),
                        _ if graph.members.contains(from) => {
                            graph
                                .aside
                                .entry(from.clone())
                                .or_default()
                                .insert(to.clone());
                        }
                        _ => {}
                    }
                }
            }
        }
        graph
    }

    /// What one crate links, with the features that it asks for itself. In the graph of the whole
    /// workspace a library has every feature that anybody asks for.
    fn of_one_crate(name: &str) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = std::process::Command::new(cargo)
            .args([
                "tree",
                "--locked",
                "--package",
                name,
                "--edges",
                "normal,no-proc-macro",
            ])
            .args(["--target", "all", "--prefix", "depth", "--format", " {p}"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .output()
            .expect("cargo tree");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cargo tree: {errors}");
        Self::parse_tree(&String::from_utf8(output.stdout).expect("UTF-8"))
    }

    /// Reads lines of depth and package, such as `2 tokio v1.54.1 (*)`.
    fn parse_tree(text: &str) -> Self {
        let mut graph = Self::default();
        let mut way: Vec<String> = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let mut words = line.split_whitespace();
            let depth: usize = words.next().and_then(|word| word.parse().ok()).expect(line);
            let package = words.next().expect(line);
            way.truncate(depth);
            if let Some(user) = way.last() {
                graph.link(user, package);
            }
            way.push(package.to_owned());
        }
        graph
    }

    fn link(&mut self, from: &str, to: &str) {
        self.linked
            .entry(from.to_owned())
            .or_default()
            .insert(to.to_owned());
    }

    /// The shortest way from one package to another along links, both ends included.
    fn way(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut came_from = BTreeMap::new();
        let mut seen = BTreeSet::from([from.to_owned()]);
        let mut queue = std::collections::VecDeque::from([from.to_owned()]);
        while let Some(here) = queue.pop_front() {
            if here == to {
                let mut way = vec![here];
                while let Some(before) = came_from.get(way.last().expect("not empty")) {
                    way.push(String::clone(before));
                }
                way.reverse();
                return Some(way);
            }
            for next in self.linked.get(&here).into_iter().flatten() {
                if seen.insert(next.clone()) {
                    came_from.insert(next.clone(), here.clone());
                    queue.push_back(next.clone());
                }
            }
        }
        None
    }
}

fn row(name: &str) -> Option<&'static (&'static str, Kind, &'static [&'static str])> {
    LAYERS.iter().find(|row| row.0 == name)
}

/// What `name` may use: its row, and the rows of those.
fn allowed(name: &str) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = row(name).map(|row| row.2.to_vec()).unwrap_or_default();
    while let Some(next) = open.pop() {
        if let Some(row) = row(next)
            && found.insert(row.0)
        {
            open.extend(row.2);
        }
    }
    found
}

fn crates_without_a_row(graph: &Graph) -> Vec<String> {
    let rows: BTreeSet<String> = LAYERS.iter().map(|row| row.0.to_owned()).collect();
    let missing = graph
        .members
        .difference(&rows)
        .map(|name| format!("{name} has no row in LAYERS"));
    let stale = rows
        .difference(&graph.members)
        .map(|name| format!("{name} has a row but is no crate"));
    missing.chain(stale).collect()
}

fn arrows_against_the_layers(graph: &Graph) -> Vec<String> {
    let mut found = Vec::new();
    for from in &graph.members {
        let allowed = allowed(from);
        for to in graph.linked.get(from).into_iter().flatten() {
            if graph.members.contains(to) && !allowed.contains(to.as_str()) {
                found.push(format!("{from} -> {to}"));
            }
        }
        // A crate's own tests may not pull in a higher layer either, with one exception: tests of
        // whatever does I/O may start the development platform, and so may those of the client,
        // whose work is to judge the documents that this platform alone can make.
        let pure = from != "keyfold-client" && row(from).is_none_or(|row| row.1 == Kind::Pure);
        for to in graph.aside.get(from).into_iter().flatten() {
            let platform = !pure && to == "keyfold-platform-dev";
            if graph.members.contains(to) && !allowed.contains(to.as_str()) && !platform {
                found.push(format!("{from} -> {to} (for its tests or build)"));
            }
        }
    }
    found
}

fn services_that_import_a_service(graph: &Graph) -> Vec<String> {
    let services = || {
        LAYERS
            .iter()
            .filter(|row| row.1 == Kind::Service)
            .map(|row| row.0)
    };
    let pairs = services().flat_map(|from| services().map(move |to| (from, to)));
    pairs
        .filter(|(from, to)| from != to)
        .filter_map(|(from, to)| graph.way(from, to))
        .map(|way| way.join(" -> "))
        .collect()
}

fn pure_crates() -> impl Iterator<Item = &'static str> {
    let pure = LAYERS.iter().filter(|row| row.1 == Kind::Pure);
    pure.map(|row| row.0)
}

fn ways_out(graph: &Graph, name: &str) -> Vec<String> {
    let ways = AMBIENT
        .iter()
        .filter_map(|ambient| graph.way(name, ambient));
    ways.map(|way| way.join(" -> ")).collect()
}

fn releases_that_reach_development_code(graph: &Graph) -> Vec<String> {
    let released = LAYERS
        .iter()
        .filter(|row| row.1 == Kind::Released)
        .map(|row| row.0);
    released
        .flat_map(|program| {
            let forbidden = LAYERS.iter().filter(|row| row.1 == Kind::DevelopmentOnly);
            forbidden.filter_map(move |row| graph.way(program, row.0))
        })
        .map(|way| way.join(" -> "))
        .collect()
}

#[track_caller]
fn none(found: Vec<String>) {
    assert!(found.is_empty(), "\n  {}\n", found.join("\n  "));
}

#[test]
fn every_crate_has_a_row_and_every_row_a_crate() {
    none(crates_without_a_row(&Graph::of_this_workspace()));
}

#[test]
fn arrows_point_one_way() {
    none(arrows_against_the_layers(&Graph::of_this_workspace()));
}

#[test]
fn no_service_imports_another() {
    none(services_that_import_a_service(&Graph::of_this_workspace()));
}

#[test]
fn pure_crates_reach_no_runtime_network_or_database() {
    none(
        pure_crates()
            .flat_map(|name| ways_out(&Graph::of_one_crate(name), name))
            .collect(),
    );
}

#[test]
fn released_programs_reach_no_development_code() {
    none(releases_that_reach_development_code(
        &Graph::of_this_workspace(),
    ));
}

#[test]
fn pure_crates_are_bound_by_the_strict_lints() {
    // clippy takes the nearest clippy.toml: one in a pure crate's folder would lift the ban.
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    assert!(root.join("clippy.toml").is_file());
    let pure = LAYERS.iter().filter(|row| row.1 == Kind::Pure);
    let lifted = pure.filter_map(|row| {
        let folder = root
            .join("crates")
            .join(row.0.trim_start_matches("keyfold-"));
        assert!(
            folder.join("Cargo.toml").is_file(),
            "{} is not in crates/",
            row.0
        );
        let own = ["clippy.toml", ".clippy.toml"]
            .iter()
            .any(|file| folder.join(file).exists());
        own.then(|| format!("{} has a clippy.toml of its own", row.0))
    });
    none(
        lifted
            .chain(
                root.join("crates/clippy.toml")
                    .exists()
                    .then(|| "crates/clippy.toml".to_owned()),
            )
            .collect(),
    );
}

mod rules_that_fail {
    use super::*;

    fn graph(links: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::default();
        graph
            .members
            .extend(LAYERS.iter().map(|row| row.0.to_owned()));
        for (from, to) in links {
            graph.link(from, to);
        }
        graph
    }

    #[test]
    fn unlisted_crate() {
        let mut graph = graph(&[]);
        graph.members.insert("keyfold-new".to_owned());
        graph.members.remove("keyfold-log");
        let found = crates_without_a_row(&graph);
        assert_eq!(
            found,
            [
                "keyfold-new has no row in LAYERS",
                "keyfold-log has a row but is no crate"
            ]
        );
    }

    #[test]
    fn arrow_that_points_up() {
        let found = arrows_against_the_layers(&graph(&[("keyfold-crypto", "keyfold-protocol")]));
        assert_eq!(found, ["keyfold-crypto -> keyfold-protocol"]);
    }

    #[test]
    fn arrow_that_points_up_in_tests() {
        let mut graph = graph(&[]);
        graph.aside.insert(
            "keyfold-crypto".to_owned(),
            BTreeSet::from(["keyfold-platform-dev".to_owned()]),
        );
        graph.aside.insert(
            "keyfold-net".to_owned(),
            BTreeSet::from(["keyfold-platform-dev".to_owned()]),
        );
        let found = arrows_against_the_layers(&graph);
        assert_eq!(
            found,
            ["keyfold-crypto -> keyfold-platform-dev (for its tests or build)"]
        );
    }

    #[test]
    fn enclave_with_sockets_of_its_own() {
        let found = arrows_against_the_layers(&graph(&[("keyfold-enclave", "keyfold-net")]));
        assert_eq!(found, ["keyfold-enclave -> keyfold-net"]);
    }

    #[test]
    fn service_inside_a_service() {
        let links = [
            ("keyfold-gateway-service", "helper"),
            ("helper", "keyfold-holder-service"),
        ];
        let found = services_that_import_a_service(&graph(&links));
        assert_eq!(
            found,
            ["keyfold-gateway-service -> helper -> keyfold-holder-service"]
        );
    }

    #[test]
    fn runtime_behind_a_library() {
        let tree = "0 keyfold-attest v0.1.0 (/src)\n1 parser v1.0.0\n2 bytes v1.0.0\n2 tokio v1.0.0\n1 hex v0.4.0\n";
        let found = ways_out(&Graph::parse_tree(tree), "keyfold-attest");
        assert_eq!(found, ["keyfold-attest -> parser -> tokio"]);
    }

    #[test]
    fn runtime_of_a_crate_that_has_one() {
        let found = ways_out(&Graph::of_one_crate("keyfold-net"), "keyfold-net");
        assert!(
            found.contains(&"keyfold-net -> tokio".to_owned()),
            "{found:?}"
        );
    }

    #[test]
    fn development_platform_in_a_release() {
        let links = [
            ("keyfold-holder", "keyfold-net"),
            ("keyfold-net", "keyfold-platform-dev"),
        ];
        let found = releases_that_reach_development_code(&graph(&links));
        assert_eq!(
            found,
            ["keyfold-holder -> keyfold-net -> keyfold-platform-dev"]
        );
    }
}
