//! What vendors are asked with: whether each takes its token, and lets it see what is named.

use super::Findings;
use crate::backfill::client::{Attempt, Client};
use crate::backfill::{HEALED, wanted};
use crate::config::Settings;
use crate::config::backfill::{Backfill, of, token};
use sources::history::History;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// How long one answer may take.
const WITHIN: Duration = Duration::from_secs(10);
/// Most names of one vendor that are asked for.
const NAMES: usize = 20;

/// Tries every vendor that the configuration says anything of.
pub fn check(settings: &Settings, findings: &mut Findings) {
    let named = settings.backfills.iter().filter(|(_, backfill)| **backfill != Backfill::default());
    let named: Vec<_> = named.collect();
    if named.is_empty() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            findings.problem("backfill", error.to_string(), "let this user start threads");
            return;
        }
    };
    for (vendor, backfill) in named {
        if let Ok(history) = of(vendor) {
            one(history, backfill, runtime.handle().clone(), findings);
        }
    }
}

fn one(history: &History, backfill: &Backfill, threads: Handle, findings: &mut Findings) {
    let (vendor, what) = (history.name, format!("backfill {}", history.name));
    let give = format!(
        "put a token into the file that backfill.{vendor}.token_file names, or into {}; it may read: {}",
        history.token_variable, history.rights
    );
    let token = match token(backfill.token_file.as_deref(), history.token_variable) {
        Ok(token) => token,
        Err(error) if backfill.every.is_none() && backfill.token_file.is_none() => {
            // The command may be given one.
            findings.warning(what, format!("not tried: {error:#}"), give);
            return;
        }
        Err(error) => {
            findings.problem(what, format!("{error:#}"), give);
            return;
        }
    };
    let opened = wanted(history, backfill, HEALED).and_then(|wanted| {
        let client =
            Client::new(&wanted.base, (history.headers)(&token), &backfill.tls, threads, Arc::default())?;
        Ok((wanted, client))
    });
    let (wanted, client) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let remedy = format!("correct backfill.{vendor}.url, and the files of backfill.{vendor}.ssl");
            findings.problem(what, format!("{error:#}"), remedy);
            return;
        }
    };
    let mut answer = Attempt::Gone(404);
    for path in history.tried {
        answer = client.attempt(&format!("{}{path}", wanted.base), WITHIN);
        if !matches!(answer, Attempt::Gone(_)) {
            break;
        }
    }
    let url = format!("backfill.{vendor}.url");
    let says = |text: String| format!("{}: {text}", wanted.base);
    let nobody = match answer {
        Attempt::Answered => {
            names(history, &wanted, &client, &what, findings);
            return;
        }
        Attempt::Limited(long) => {
            let left = format!("the limit of this token is reached for another {} s", long.as_secs());
            let remedy = "wait; give it a token of its own when another program uses it up";
            findings.warning(what, says(left), remedy);
            return;
        }
        Attempt::Refused(401, said) => (format!("the token is not taken: {said}"), give),
        Attempt::Refused(status, said) => (format!("the token is refused ({status}): {said}"), give),
        Attempt::Gone(status) => {
            (format!("it answers {status}: {vendor}'s API is not there"), format!("correct {url}"))
        }
        Attempt::Moved(to) => (format!("it points to {to}"), format!("set {url} to where it answers")),
        Attempt::Failed(why) => {
            let keys = format!("backfill.{vendor}.ssl");
            let remedy = https::remedy(&why, &keys);
            (why, remedy.unwrap_or_else(|| format!("correct {url}, or let this machine reach it")))
        }
    };
    findings.problem(what, says(nobody.0), nobody.1);
}

/// Asks for each thing that is named; only what has an address of its own can be.
fn names(
    history: &History,
    wanted: &sources::history::Wanted,
    client: &Client,
    what: &str,
    findings: &mut Findings,
) {
    let names = if history.needs_names { wanted.only.as_slice() } else { &[] };
    let mut seen = 0;
    for (name, question) in names.iter().zip((history.begin)(wanted)).take(NAMES) {
        let said = match client.attempt(&question.url, WITHIN) {
            Attempt::Answered => {
                seen += 1;
                continue;
            }
            Attempt::Gone(status) => {
                format!("it answers {status}: there is none, or the token may not see it")
            }
            Attempt::Refused(status, said) => format!("it answers {status}: {said}"),
            Attempt::Moved(to) => format!("it is elsewhere now: {to}"),
            Attempt::Limited(long) => format!("a limit is reached for another {} s", long.as_secs()),
            Attempt::Failed(why) => why,
        };
        let remedy = format!(
            "correct backfill.{}.only, or let the token see it; it may read: {}",
            history.name, history.rights
        );
        findings.problem(format!("{what} {name}"), said, remedy);
    }
    let tried = names.len().min(NAMES);
    let of = match names.len() {
        0 => String::new(),
        all if all > tried => format!(", and lets it see {seen} of the first {tried} of {all} names"),
        all => format!(", and lets it see {seen} of {all} names"),
    };
    findings.ok(what, format!("{} takes the token{of}", wanted.base));
}
