//! The house rules, as a test. Each rule is a function from text to complaints, so that the tests
//! at the end can show that each of them really can fail.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Words that mean I/O, time or chance, or an order that changes from run to run.
const IMPURE: [&str; 10] = [
    "actix",
    "tokio",
    "std::fs",
    "std::net",
    "std::env",
    "Instant::now",
    "SystemTime::now",
    "rand::",
    "HashMap",
    "HashSet",
];

/// Pure beside every `logic` module: nothing in them may depend on anything but its arguments.
const PURE_FOLDERS: [&str; 2] = ["protocol/src/", "simulator/src/"];

/// The command line of the simulator: it runs seeds on all cores and tells the time they took.
const NOT_PURE: [&str; 2] = ["simulator/src/bin/", "simulator/src/simulate.rs"];

/// Who may name bincode: the codec, and what is measured or tested beside it.
const NAMES_BINCODE: [&str; 2] = ["libactor/src/wire.rs", "libactor/benches/"];

const LINES_MAX: usize = 500;

/// Which of our crates a crate may depend on.
enum May {
    Use(&'static [&'static str]),
    /// The two that wire things together. Even they leave alone what is made for tests.
    UseAllBut(&'static [&'static str]),
}

/// The one direction. A new crate gets its line here.
const MAY_USE: [(&str, May); 21] = [
    ("libactor", May::Use(&[])),
    ("api", May::Use(&[])),
    ("gateway", May::Use(&["libactor", "api"])),
    ("coordination", May::Use(&[])),
    ("ensemble", May::Use(&[])),
    ("images", May::Use(&[])),
    ("measure", May::Use(&[])),
    ("protocol", May::Use(&["libactor", "api"])),
    ("containerizer", May::Use(&["libactor", "protocol", "api"])),
    ("fetcher", May::Use(&[])),
    ("executor", May::Use(&["libactor", "protocol", "api", "containerizer"])),
    ("master", May::Use(&["libactor", "protocol", "api", "coordination", "gateway"])),
    (
        "agent",
        May::Use(&[
            "libactor",
            "protocol",
            "api",
            "coordination",
            "gateway",
            "containerizer",
            "fetcher",
            "images",
        ]),
    ),
    ("sdk", May::Use(&["libactor", "protocol", "api", "coordination"])),
    ("batch", May::Use(&["sdk", "libactor", "protocol", "api"])),
    ("wordcount", May::Use(&["sdk", "libactor", "protocol", "api"])),
    ("periodic", May::Use(&["sdk", "libactor", "protocol", "api"])),
    ("cli", May::UseAllBut(&["simulator", "tests", "measure", "xtask"])),
    (
        "simulator",
        May::Use(&[
            "libactor",
            "protocol",
            "api",
            "coordination",
            "master",
            "agent",
            "executor",
            "sdk",
        ]),
    ),
    ("tests", May::UseAllBut(&["xtask"])),
    ("xtask", May::Use(&[])),
];

/// Authors of frameworks test against simulated clusters, and so do we.
const MAY_TEST_WITH_SIMULATOR: [&str; 4] = ["sdk", "batch", "wordcount", "periodic"];

/// Who tests with real ZooKeeper servers.
const MAY_TEST_WITH_ENSEMBLE: [&str; 2] = ["coordination", "sdk"];

/// Whose benches are made of it.
const MAY_MEASURE: [&str; 2] = ["libactor", "containerizer"];

// --- the rules

/// Code without its comments: a rule about words is about what runs.
fn code(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code));
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether a word stands in code on its own: `rand::` is not in `strand::x`.
fn names(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

fn is_pure(path: &str) -> bool {
    let is_logic = path.split('/').any(|part| part == "logic" || part == "logic.rs");
    let is_in = |folders: &[&str]| folders.iter().any(|folder| path.starts_with(folder));
    is_logic || (is_in(&PURE_FOLDERS) && !is_in(&NOT_PURE))
}

fn impure_words(path: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let found = IMPURE.iter().filter(|word| is_pure(path) && names(&code, word));
    found.map(|word| format!("{path} is pure, but names {word}")).collect()
}

fn purpose_missing(path: &str, text: &str) -> Option<String> {
    let opens = text.starts_with("//! ");
    (!opens).then(|| format!("{path} does not open with `//!` and what it is for"))
}

fn too_long(path: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > LINES_MAX).then(|| format!("{path} has {lines} lines, more than {LINES_MAX}"))
}

fn module_file(path: &str) -> Option<String> {
    path.ends_with("/mod.rs").then(|| format!("{path}: write foo.rs beside foo/"))
}

fn codec_named(path: &str, text: &str) -> Option<String> {
    let may = NAMES_BINCODE.iter().any(|place| path.starts_with(place));
    let found = !may && names(&code(text), "bincode");
    found.then(|| format!("{path} names bincode, which only the wire may"))
}

/// The lines of one table of a manifest, without comments and empty lines.
fn section<'a>(manifest: &'a str, title: &str) -> Vec<&'a str> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == format!("[{title}]");
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            found.push(line);
        }
    }
    found
}

/// `serde.workspace = true`, `serde = { workspace = true }` and `serde = "1"` all name serde.
fn dependency_name(line: &str) -> &str {
    line.split(['.', '=', ' ']).next().unwrap_or(line)
}

fn package_name(manifest: &str) -> &str {
    let names = section(manifest, "package").into_iter();
    let mut names = names.filter_map(|line| line.strip_prefix("name = "));
    names.next().unwrap_or_default().trim_matches('"')
}

/// Each dependency from outside says in the root's table why it is here.
fn reasons_missing(root_manifest: &str) -> Vec<String> {
    let lines = section(root_manifest, "workspace.dependencies").into_iter();
    let ours = |line: &&str| line.contains("path = ");
    let bare = lines.filter(|line| !ours(line) && !line.contains(" # "));
    bare.map(|line| format!("Cargo.toml does not say why: {line}")).collect()
}

const DEPENDENCIES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Versions are written once, in the root's table.
fn own_versions(path: &str, manifest: &str) -> Vec<String> {
    let lines = DEPENDENCIES.iter().flat_map(|title| section(manifest, title));
    let own = lines.filter(|line| !line.contains("workspace = true"));
    own.map(|line| format!("{path} has a version of its own: {line}")).collect()
}

/// The dependencies of one crate of ours on others of ours, against [`MAY_USE`].
fn wrong_way(manifest: &str, ours: &BTreeSet<String>) -> Vec<String> {
    let crate_name = package_name(manifest);
    let Some((_, may)) = MAY_USE.iter().find(|(name, _)| *name == crate_name) else {
        return vec![format!("{crate_name} has no line in MAY_USE")];
    };
    let mut found = Vec::new();
    for title in DEPENDENCIES {
        for name in section(manifest, title).into_iter().map(dependency_name) {
            let allowed = match may {
                May::Use(list) => list.contains(&name),
                May::UseAllBut(list) => !list.contains(&name),
            };
            let helpers: &[&str] = match name {
                "simulator" => &MAY_TEST_WITH_SIMULATOR,
                "ensemble" => &MAY_TEST_WITH_ENSEMBLE,
                "measure" => &MAY_MEASURE,
                _ => &[],
            };
            let tests_with = title == "dev-dependencies" && helpers.contains(&crate_name);
            if ours.contains(name) && !allowed && !tests_with {
                found.push(format!("{crate_name} may not use {name}"));
            }
        }
    }
    found
}

/// What a page names in backticks and the tree does not have: files, folders, functions that begin
/// with `on_` or `hear_`, types and their variants. A map with a wrong name is worse than none.
fn names_nothing(page: &str, tree: &BTreeMap<String, String>) -> Vec<String> {
    let words = page.split('`').skip(1).step_by(2).filter(|word| !word.contains([' ', '\n']));
    let found = words.filter(|word| !is_there(word, tree));
    found.map(|word| format!("`{word}` is not in the tree")).collect()
}

fn is_there(word: &str, tree: &BTreeMap<String, String>) -> bool {
    let in_code = |what: &str| rust(tree).any(|(_, text)| names(text, what));
    if word.ends_with('/') {
        return tree
            .keys()
            .any(|path| path.starts_with(word) || path.contains(&format!("/{word}")));
    }
    if [".rs", ".md"].iter().any(|end| word.ends_with(end)) {
        return tree.keys().any(|path| path == word || path.ends_with(&format!("/{word}")));
    }
    if word.starts_with("on_") || word.starts_with("hear_") {
        return in_code(&format!("fn {word}("));
    }
    let is_name = word.chars().all(|c| c.is_alphanumeric() || c == '_' || c == ':');
    let is_type =
        is_name && word.starts_with(char::is_uppercase) && word.contains(char::is_lowercase);
    !is_type || word.split("::").all(in_code)
}

// --- the tree

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is a folder of the root").into()
}

/// All text of the tree by its path below the root.
fn tree() -> BTreeMap<String, String> {
    fn add(folder: &Path, root: &Path, found: &mut BTreeMap<String, String>) {
        let entries = fs::read_dir(folder).expect("the tree is readable");
        for path in entries.map(|entry| entry.expect("the tree is readable").path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    add(&path, root, found);
                }
            } else if ["rs", "proto", "md", "toml", "tsv"].contains(&extension.as_str()) {
                let text = fs::read_to_string(&path).expect("the tree is text");
                let below = path.strip_prefix(root).expect("a path of the tree");
                found.insert(below.to_string_lossy().into_owned(), text);
            }
        }
    }
    let mut found = BTreeMap::new();
    add(&root(), &root(), &mut found);
    assert!(found.len() > 50, "the tree is found: {} files", found.len());
    found
}

#[track_caller]
fn none(found: impl IntoIterator<Item = String>) {
    let found: Vec<_> = found.into_iter().collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

fn rust(tree: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    let files = tree.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    files.filter(|(path, _)| path.ends_with(".rs"))
}

/// The manifests of our crates, but for the root's and those of workspaces of their own.
fn manifests(tree: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    let files = tree.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    files.filter(|(path, text)| path.ends_with("/Cargo.toml") && !text.contains("[workspace]"))
}

#[test]
fn logic_is_pure() {
    none(rust(&tree()).flat_map(|(path, text)| impure_words(path, text)));
}

#[test]
fn every_file_opens_with_its_purpose() {
    none(rust(&tree()).filter_map(|(path, text)| purpose_missing(path, text)));
}

#[test]
fn no_file_is_too_long() {
    let tree = tree();
    let files = tree.iter().filter(|(path, _)| !path.ends_with(".tsv")); // a table is as long as it is
    none(files.filter_map(|(path, text)| too_long(path, text)));
}

#[test]
fn modules_are_named_after_themselves() {
    none(rust(&tree()).filter_map(|(path, _)| module_file(path)));
}

#[test]
fn one_file_names_the_codec() {
    let tree = tree();
    let others = rust(&tree).filter(|(path, _)| *path != "tests/tests/tidy.rs");
    none(others.filter_map(|(path, text)| codec_named(path, text)));
}

#[test]
fn every_dependency_says_why_and_is_versioned_once() {
    let tree = tree();
    none(reasons_missing(&tree["Cargo.toml"]));
    none(manifests(&tree).flat_map(|(path, manifest)| own_versions(path, manifest)));
}

#[test]
fn crates_point_one_way() {
    let tree = tree();
    let ours: BTreeSet<_> = manifests(&tree).map(|(_, m)| package_name(m).to_owned()).collect();
    assert!(ours.len() > 10, "the crates are found: {ours:?}");
    none(manifests(&tree).flat_map(|(_, manifest)| wrong_way(manifest, &ours)));
}

#[test]
fn pages_name_what_is_there() {
    let tree = tree();
    let pages = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];
    let pages = pages.iter().filter_map(|page| tree.get(*page));
    none(pages.flat_map(|page| names_nothing(page, &tree)));
}

// --- each rule can fail

#[test]
fn a_clock_in_a_logic_module_is_found() {
    let text = "//! x\nlet now = Instant::now();\n";
    assert_eq!(impure_words("master/src/logic/offers.rs", text).len(), 1);
    assert_eq!(impure_words("master/src/logic.rs", text).len(), 1);
    assert_eq!(impure_words("simulator/src/network.rs", text).len(), 1);
    assert!(impure_words("master/src/actors/master.rs", text).is_empty());
    assert!(impure_words("master/src/logic.rs", "// no Instant::now here\n").is_empty());
    assert!(impure_words("master/src/logic.rs", "use strand::x;\n").is_empty());
}

#[test]
fn a_file_without_purpose_is_found() {
    assert!(purpose_missing("a.rs", "use std::fmt;\n").is_some());
    assert!(purpose_missing("a.rs", "//! What it is for.\n").is_none());
}

#[test]
fn a_long_file_is_found() {
    assert!(too_long("a.rs", &"x\n".repeat(LINES_MAX)).is_none());
    assert!(too_long("a.rs", &"x\n".repeat(LINES_MAX + 1)).is_some());
}

#[test]
fn a_mod_file_is_found() {
    assert!(module_file("master/src/logic/mod.rs").is_some());
    assert!(module_file("master/src/logic/model.rs").is_none());
}

#[test]
fn a_second_user_of_the_codec_is_found() {
    let text = "//! x\nbincode::serialize(&x)\n";
    assert!(codec_named("master/src/lib.rs", text).is_some());
    assert!(codec_named("libactor/src/wire.rs", text).is_none());
    assert!(codec_named("master/src/lib.rs", "//! not bincode\nwincode::x()\n").is_none());
}

#[test]
fn a_dependency_without_a_reason_or_with_its_own_version_is_found() {
    let root =
        "[workspace.dependencies]\nus = { path = \"us\" }\na = \"1\" # why\nb = \"2\"\n[x]\n";
    assert_eq!(reasons_missing(root), ["Cargo.toml does not say why: b = \"2\""]);
    let manifest = "[dependencies]\na.workspace = true\nb = \"2\"\n";
    assert_eq!(own_versions("x", manifest), ["x has a version of its own: b = \"2\""]);
}

#[test]
fn a_dependency_against_the_direction_is_found() {
    let ours = ["master", "agent", "sdk", "simulator", "new"].map(str::to_owned).into();
    let check = |name: &str, table: &str, on: &str| {
        let package = format!("[package]\nname = \"{name}\"\n");
        wrong_way(
            &format!("{package}[{table}]\nserde.workspace = true\n{on}.workspace = true\n"),
            &ours,
        )
    };
    assert_eq!(check("master", "dependencies", "agent"), ["master may not use agent"]);
    assert_eq!(check("master", "dev-dependencies", "agent"), ["master may not use agent"]);
    assert_eq!(check("cli", "dependencies", "simulator"), ["cli may not use simulator"]);
    assert_eq!(check("sdk", "dependencies", "simulator"), ["sdk may not use simulator"]);
    assert!(check("sdk", "dev-dependencies", "simulator").is_empty());
    assert!(check("cli", "dependencies", "agent").is_empty());
    assert_eq!(check("new", "dependencies", "serde"), ["new has no line in MAY_USE"]);
}

#[test]
fn a_page_that_names_what_is_not_there_is_found() {
    let file = ("a/src/lib.rs".to_owned(), "fn on_offer(x: Offer) {}".to_owned());
    let tree = BTreeMap::from([file]);
    assert!(
        names_nothing("`a/`, `src/lib.rs`, `on_offer`, `Offer`, `cargo test`", &tree).is_empty()
    );
    let wrong = names_nothing("`b/` `src/main.rs` `on_off` `Offers` `Offer::Lost`", &tree);
    assert_eq!(wrong.len(), 5, "{wrong:?}");
}
