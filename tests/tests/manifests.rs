//! The first invariant: the core knows no shell. Held against what cargo resolves and what the sources say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::Command;

const CORE: &[&str] =
    &["catalog", "correlate", "generate", "mapping", "model", "sources", "topology", "windows"];

/// Crates that bring threads, sockets, files, engines, configuration, log output or entropy.
const SHELL_CRATES: &[&str] = &[
    "async-std",
    "axum",
    "clap",
    "clickhouse",
    "config",
    "fastrand",
    "fjall",
    "getrandom",
    "hyper",
    "libloading",
    "mio",
    "rdkafka",
    "reqwest",
    "socket2",
    "tokio",
    "tracing-subscriber",
    "ureq",
];

/// What a core source must not say outside its tests.
const SHELL_WORDS: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io::stdin",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "Instant",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
    "thread_rng",
    "unsafe",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// The names of everything that a build of this crate alone links, itself included.
fn linked(package: &str) -> Vec<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .current_dir(root())
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}", "--package"])
        .arg(package)
        .output()
        .expect("cargo is there: it runs this test");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree failed for {package}: {errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The numbered lines of a source before its tests, without comments.
fn production_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    lines
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .filter(|(_, line)| !line.starts_with("//"))
}

fn says(line: &str, word: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices(word).any(|(at, _)| {
        let part_of_a_name = |c: char| c.is_alphanumeric() || c == '_';
        !code[..at].ends_with(part_of_a_name) && !code[at + word.len()..].starts_with(part_of_a_name)
    })
}

#[test]
fn no_core_crate_links_a_runtime_a_broker_http_a_store_an_engine_or_entropy() {
    for name in CORE {
        let package = format!("streamgauge-{name}");
        let linked = linked(&package);
        assert_eq!(linked.first(), Some(&package), "cargo tree begins with the crate itself");
        let shell: Vec<&String> =
            linked.iter().filter(|crate_name| SHELL_CRATES.contains(&crate_name.as_str())).collect();
        assert!(
            shell.is_empty(),
            "{package} is core and links {shell:?}; `cargo tree -p {package} -i {}` shows the way",
            shell[0]
        );
    }
}

#[test]
fn no_core_crate_links_a_crate_of_the_shell() {
    let core: Vec<String> = CORE.iter().map(|name| format!("streamgauge-{name}")).collect();
    for package in &core {
        let ours = linked(package).into_iter().filter(|name| name.starts_with("streamgauge"));
        let shell: Vec<String> = ours.filter(|name| !core.contains(name)).collect();
        assert!(shell.is_empty(), "{package} is core and links {shell:?}");
    }
}

#[test]
fn no_core_source_reads_files_the_environment_a_socket_or_a_clock() {
    let mut found = Vec::new();
    for name in CORE {
        let mut files = Vec::new();
        rust_files(&root().join("crates").join(name).join("src"), &mut files);
        assert!(!files.is_empty(), "crates/{name} has sources");
        files.sort();
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            for (number, line) in production_lines(&text) {
                for word in SHELL_WORDS.iter().filter(|word| says(line, word)) {
                    found.push(format!("{}:{number}: {word}", file.display()));
                }
            }
        }
    }
    assert!(found.is_empty(), "core sources that reach outside:\n{}", found.join("\n"));
}

#[test]
fn the_search_for_words_sees_code_and_neither_comments_nor_longer_names() {
    assert!(says("let now = Instant::now();", "Instant"));
    assert!(!says("let x = 1; // not an Instant", "Instant"));
    assert!(!says("struct Instantly;", "Instant"));
    let source = "// std::fs\nlet a = 1;\n#[cfg(test)]\nmod tests { use std::fs; }\n";
    assert_eq!(production_lines(source).collect::<Vec<_>>(), [(2, "let a = 1;")]);
}
