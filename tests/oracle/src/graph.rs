//! The commits of a repository and their edges (semantics, section 4).

use crate::record::{Record, Thing};
use std::collections::{BTreeMap, HashMap};

/// What a commit's own event says.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    pub parents: Option<Vec<String>>,
    pub authored: Option<i64>,
    pub committed: Option<i64>,
    pub author_kind: Option<String>,
    pub paths: Option<Vec<String>>,
    pub reverts: Vec<String>,
    pub is_merge: bool,
    pub drill: bool,
}

/// A repository's commits by number.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    pub shas: Vec<String>,
    pub index: HashMap<String, usize>,
    /// Known by its own event or by a push; the others are parents never seen.
    pub known: Vec<bool>,
    pub parents: Vec<Vec<usize>>,
    pub commits: Vec<Commit>,
}

impl Graph {
    /// From the commit records and pushes of one repository.
    pub fn of(commits: &BTreeMap<String, Vec<&Record>>, pushes: &[&Record]) -> Self {
        let mut graph = Self::default();
        for (sha, records) in commits {
            let thing = Thing::of(records.clone());
            let node = graph.node(sha);
            graph.known[node] = true;
            graph.commits[node] = Commit {
                parents: thing.list("parents"),
                authored: thing.time("authored_at"),
                committed: thing.time("committed_at"),
                author_kind: thing.text("author_kind"),
                paths: thing.list("paths"),
                reverts: thing.list("reverts").unwrap_or_default(),
                is_merge: thing.bool("is_merge") == Some(true),
                drill: thing.drill(),
            };
        }
        for node in 0..graph.shas.len() {
            for parent in graph.commits[node].parents.clone().unwrap_or_default() {
                let parent = graph.node(&parent);
                graph.edge(node, parent);
            }
        }
        for push in pushes {
            graph.push(push);
        }
        graph
    }

    fn push(&mut self, push: &Record) {
        let real = |sha: &str| (!sha.is_empty() && sha.chars().any(|c| c != '0')).then(|| sha.to_owned());
        let listed = crate::record::texts(push.body.get("commits")).unwrap_or_default();
        let before = push.body["before"].as_str().and_then(real);
        let after = push.body["after"].as_str().and_then(real);
        for sha in listed.iter().chain(after.iter()) {
            let node = self.node(sha);
            self.known[node] = true;
        }
        let before = if push.body["forced"] == true { None } else { before };
        let chain: Vec<String> = before.into_iter().chain(listed).chain(after).collect();
        for pair in chain.windows(2) {
            let (parent, child) = (self.node(&pair[0]), self.node(&pair[1]));
            if self.commits[child].parents.is_none() {
                self.edge(child, parent);
            }
        }
    }

    fn node(&mut self, sha: &str) -> usize {
        if let Some(node) = self.index.get(sha) {
            return *node;
        }
        let node = self.shas.len();
        self.shas.push(sha.to_owned());
        self.index.insert(sha.to_owned(), node);
        self.known.push(false);
        self.parents.push(Vec::new());
        self.commits.push(Commit::default());
        node
    }

    fn edge(&mut self, child: usize, parent: usize) {
        if child != parent && !self.parents[child].contains(&parent) {
            self.parents[child].push(parent);
        }
    }

    /// The number of a known commit.
    pub fn known_node(&self, sha: &str) -> Option<usize> {
        self.index.get(sha).copied().filter(|node| self.known[*node])
    }

    /// Whether a commit is a merge: its parents decide, where they are not known the forge's message.
    pub fn is_merge(&self, node: usize) -> bool {
        match &self.commits[node].parents {
            Some(parents) => parents.len() > 1,
            None => self.commits[node].is_merge,
        }
    }

    /// Everything that a head reaches, itself included.
    pub fn reach(&self, head: usize) -> Vec<usize> {
        let mut seen = vec![false; self.shas.len()];
        let mut found = vec![head];
        seen[head] = true;
        let mut next = 0;
        while next < found.len() {
            for parent in &self.parents[found[next]] {
                if !seen[*parent] {
                    seen[*parent] = true;
                    found.push(*parent);
                }
            }
            next += 1;
        }
        found
    }
}
