//! What is imported: two real histories, and a generated organisation.

use catalog::Catalog;
use generate::Options;
use model::Definitions;
use model::raw::RawRecord;
use std::sync::Arc;
use streamgauge_tests::history;

pub const CASES: [&str; 3] = ["argo-cd", "vector", "generated"];

/// A large organisation: 50 services over 90 days.
const GENERATED: Options = Options { services: 50, teams: 8, days: 90, seed: 1, start: START };
/// 2024-01-01T00:00:00Z.
pub const START: model::Timestamp = model::Timestamp::from_micros(1_704_067_200_000_000);

/// Something to import.
pub struct Input {
    pub definitions: Definitions,
    pub catalog: Arc<Catalog>,
    pub records: Box<dyn Iterator<Item = RawRecord>>,
}

fn repository(case: &str) -> Option<&'static str> {
    match case {
        "argo-cd" => Some("github.com/argoproj/argo-cd"),
        "vector" => Some("github.com/vectordotdev/vector"),
        _ => None,
    }
}

/// Whether the input is there: the real histories lie beside the project.
pub fn is_there(case: &str) -> bool {
    repository(case).is_none_or(|repo| history::read(case, repo).is_some())
}

pub fn open(case: &str) -> Input {
    match repository(case) {
        Some(repo) => {
            // As `import git` does.
            let definitions = Definitions { failure_evidence_suffices: true, ..Definitions::default() };
            let catalog = Arc::new(Catalog::empty(&definitions));
            let records = history::read(case, repo).expect("the history");
            Input { definitions, catalog, records: Box::new(records.into_iter()) }
        }
        None => generated(&GENERATED),
    }
}

/// A generated organisation; its records are made as they are taken.
pub fn generated(options: &Options) -> Input {
    let definitions = Definitions::default();
    let catalog = Catalog::from_toml("generated.toml", &generate::catalog_toml(options), &definitions);
    let catalog = Arc::new(catalog.expect("the generated catalog"));
    Input { definitions, catalog, records: Box::new(generate::generate(options)) }
}
