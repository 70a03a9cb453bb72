//! Prometheus: whether each objective's expressions give numbers now.

use super::Findings;
use crate::config::Settings;
use crate::sli::Asked;
use model::Timestamp;
use serde_json::Value;

/// Asks for each objective.
pub fn check(settings: &Settings, now: Timestamp, findings: &mut Findings) {
    let Some(prometheus) = &settings.prometheus else { return };
    let asked = Asked::new(prometheus)
        .and_then(|asked| Ok((asked, tokio::runtime::Builder::new_current_thread().enable_all().build()?)));
    let (asked, runtime) = match asked {
        Ok(both) => both,
        Err(error) => {
            findings.problem("prometheus", format!("{error:#}"), "mend the file that it names");
            return;
        }
    };
    for (name, objective) in &prometheus.objectives {
        let what = format!("objective {name}");
        let mut said = Vec::new();
        for (key, expression) in [("good", &objective.good), ("total", &objective.total)] {
            match runtime.block_on(asked.query(expression, now)) {
                Err(error) => {
                    let remedy = "start Prometheus there, or correct prometheus.url and what proves us";
                    findings.problem(&*what, format!("{}: {error}", prometheus.url), remedy);
                    return;
                }
                Ok(answer) if answer.get("status").and_then(Value::as_str) != Some("success") => {
                    let error = answer.get("error").and_then(Value::as_str).unwrap_or("no reason given");
                    findings.problem(
                        &*what,
                        format!("`{key}` is refused: {error}"),
                        "correct the expression: Prometheus' own page tries it",
                    );
                }
                Ok(answer) => {
                    let series = answer.pointer("/data/result").and_then(Value::as_array).map_or(0, Vec::len);
                    said.push(format!("{key} gives {series} series"));
                }
            }
        }
        if said.len() == 2 {
            findings.ok(what, said.join(", "));
        }
    }
}
