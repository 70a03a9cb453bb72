//! A strict reader of Prometheus's text format: what it does not know is wrong.

use std::collections::{BTreeMap, BTreeSet};

/// Samples as they were exposed.
#[derive(Debug)]
pub struct Exposed {
    samples: BTreeMap<(String, BTreeMap<String, String>), f64>,
    kinds: BTreeMap<String, String>,
}

impl Exposed {
    /// Reads a whole answer.
    pub fn read(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line has no end");
        let mut all = Self { samples: BTreeMap::new(), kinds: BTreeMap::new() };
        let mut helped = BTreeSet::new();
        let mut current = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap_or_else(|| panic!("no help: {line}"));
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(helped.contains(name) && name.starts_with("streamgauge_"), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                assert!(all.kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
                current = name.to_owned();
            } else {
                all.sample(line, &current);
            }
        }
        all.check_histograms();
        all
    }

    fn sample(&mut self, line: &str, current: &str) {
        let (head, value) = line.rsplit_once(' ').unwrap();
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        let (name, labels) = match head.split_once('{') {
            None => (head, BTreeMap::new()),
            Some((name, rest)) => (name, labels(rest.strip_suffix('}').unwrap_or_else(|| panic!("{line}")))),
        };
        let is_histogram = self.kinds.get(current).is_some_and(|kind| kind == "histogram");
        let suffix = name.strip_prefix(current).unwrap_or_else(|| panic!("{line} is not of {current}"));
        let allowed: &[&str] = if is_histogram { &["_bucket", "_sum", "_count"] } else { &[""] };
        assert!(allowed.contains(&suffix), "{line}");
        assert!(self.samples.insert((name.to_owned(), labels), value).is_none(), "twice: {line}");
    }

    fn check_histograms(&self) {
        for (name, _) in self.kinds.iter().filter(|(_, kind)| *kind == "histogram") {
            let counts = self.samples.iter().filter(|((of, _), _)| *of == format!("{name}_count"));
            for ((_, labels), count) in counts {
                let of_series = |given: &BTreeMap<String, String>| {
                    let mut without = given.clone();
                    without.remove("le").is_some() && without == *labels
                };
                let mut buckets: Vec<(f64, f64)> = self
                    .samples
                    .iter()
                    .filter(|((of, given), _)| *of == format!("{name}_bucket") && of_series(given))
                    .map(|((_, given), value)| (given["le"].replace("+Inf", "inf").parse().unwrap(), *value))
                    .collect();
                buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
                assert!(buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{name}: {buckets:?}");
                assert_eq!(buckets.last(), Some(&(f64::INFINITY, *count)), "{name}");
            }
        }
    }

    /// The sum of the samples of a name that have these labels, whatever else they have.
    pub fn sum(&self, name: &str, wanted: &[(&str, &str)]) -> f64 {
        let has = |labels: &BTreeMap<String, String>| {
            wanted.iter().all(|(key, value)| labels.get(*key).is_some_and(|given| given == value))
        };
        self.samples
            .iter()
            .filter(|((of, labels), _)| of == name && has(labels))
            .map(|(_, value)| value)
            .sum()
    }

    /// As [`Self::sum`], where there is such a sample.
    pub fn get(&self, name: &str, wanted: &[(&str, &str)]) -> Option<f64> {
        let there = self.samples.keys().any(|(of, labels)| {
            of == name
                && wanted.iter().all(|(key, value)| labels.get(*key).is_some_and(|given| given == value))
        });
        there.then(|| self.sum(name, wanted))
    }

    /// The names of all metrics.
    pub fn names(&self) -> BTreeSet<&str> {
        self.kinds.keys().map(String::as_str).collect()
    }
}

fn labels(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, tail) = rest.split_once("=\"").unwrap_or_else(|| panic!("labels {text}"));
        let mut value = String::new();
        let mut letters = tail.char_indices();
        let end = loop {
            match letters.next().unwrap_or_else(|| panic!("labels {text}")) {
                (at, '"') => break at,
                (_, '\\') => match letters.next().unwrap().1 {
                    'n' => value.push('\n'),
                    letter => value.push(letter),
                },
                (_, letter) => value.push(letter),
            }
        };
        assert!(found.insert(name.to_owned(), value).is_none(), "labels {text}");
        rest = &tail[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    found
}
