//! One asking: question after question, their records made durable in groups, the cursor after them.

use super::client::{Client, Reply};
use super::cursor::Kept;
use crate::durable::Durable;
use crate::failure::wrong;
use anyhow::bail;
use model::raw::RawRecord;
use sources::history::{Answer, Found, History, Question, Wanted};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Records and bytes of one write, and how long records may wait for it.
const GROUP_RECORDS: usize = 500;
const GROUP_BYTES: usize = 8 << 20;
const GROUP_EVERY: Duration = Duration::from_secs(5);
/// Questions of one attempt: whatever leads in circles ends.
const MAX_QUESTIONS: u64 = 2_000_000;
/// Questions that may be open at once.
const MAX_OPEN: usize = 200_000;
/// Refusals that are remembered.
const MAX_REFUSED: usize = 20;

/// What became of an asking.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Records of this attempt.
    pub records: u64,
    /// Questions of this attempt.
    pub questions: u64,
    /// Deliveries that were lost and are told now.
    pub healed: u64,
    /// What was not told, by a word.
    pub passed_over: BTreeMap<&'static str, u64>,
    /// What was refused: the token may not ask for it.
    pub refused: Vec<String>,
}

/// Asks until nothing is open. `told` hears of each write (how many records), and why something takes long.
///
/// # Errors
/// The API does not answer, the token is not taken (exit code 2), or the records are not; the same again goes on from there.
pub fn pull(
    history: &History,
    wanted: &Wanted,
    kept: &mut Kept,
    client: &Client,
    sink: &mut dyn Durable,
    told: &mut dyn FnMut(u64, &str),
) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut group: Vec<RawRecord> = Vec::new();
    let mut bytes = 0;
    let mut written = Instant::now();
    kept.save()?;
    let mut asked = || -> anyhow::Result<()> {
        while let Some(question) = kept.cursor.open.pop() {
            outcome.questions += 1;
            let reply = client.ask(&question.url, &mut |why| told(0, why));
            let found = match reply {
                // It stays open.
                Err(error) => {
                    kept.cursor.open.push(question);
                    write(&mut group, kept, sink)?;
                    return Err(error);
                }
                Ok(Reply::Answer(body, next)) => {
                    let answer = Answer { body: &body, next: next.as_deref() };
                    history.found(wanted, &question, answer)
                }
                Ok(Reply::Refused(401, said)) => {
                    kept.cursor.open.push(question);
                    write(&mut group, kept, sink)?;
                    return Err(wrong(format!(
                        "{}: the token is not taken: {said} (give another one; the same command goes on)",
                        wanted.base
                    )));
                }
                Ok(Reply::Gone(_)) if question.otherwise.is_some() => {
                    kept.cursor.open.extend(question.otherwise.map(|other| *other));
                    continue;
                }
                Ok(Reply::Gone(_)) if question.may_be_gone => Found::default(),
                Ok(Reply::Gone(status)) => {
                    let said = "there is none, or the token may not see it";
                    refuse(kept, &mut outcome, question, status, said);
                    Found::default()
                }
                Ok(Reply::Refused(status, said)) => {
                    refuse(kept, &mut outcome, question, status, &said);
                    Found::default()
                }
            };
            outcome.healed += found.healed;
            for (what, count) in found.passed_over {
                *outcome.passed_over.entry(what).or_default() += count;
            }
            outcome.records += found.records.len() as u64;
            told(found.records.len() as u64, "");
            bytes += found.records.iter().map(|record| record.body.len()).sum::<usize>();
            group.extend(found.records);
            kept.cursor.open.extend(found.questions.into_iter().rev());
            if outcome.questions >= MAX_QUESTIONS || kept.cursor.open.len() > MAX_OPEN {
                bail!(
                    "{} leads to more questions than are asked: narrow it with --only or --since",
                    wanted.base
                );
            }
            if group.len() >= GROUP_RECORDS || bytes >= GROUP_BYTES || written.elapsed() >= GROUP_EVERY {
                write(&mut group, kept, sink)?;
                bytes = 0;
                written = Instant::now();
            }
        }
        kept.cursor.finished = true;
        write(&mut group, kept, sink)
    };
    asked()?;
    Ok(outcome)
}

/// Makes records durable, and then, and only then, what is open without them.
fn write(group: &mut Vec<RawRecord>, kept: &mut Kept, sink: &mut dyn Durable) -> anyhow::Result<()> {
    if !group.is_empty() {
        kept.cursor.records += group.len() as u64;
        sink.put(std::mem::take(group))?;
    }
    kept.save()
}

/// Remembers a question that was refused: whoever may ask it later asks it then.
fn refuse(kept: &mut Kept, outcome: &mut Outcome, question: Question, status: u16, said: &str) {
    if outcome.refused.len() < MAX_REFUSED {
        outcome.refused.push(format!("{}: it answers {status}: {said}", question.url));
    }
    let refused = &mut kept.cursor.refused;
    if refused.len() < MAX_REFUSED && !refused.contains(&question) {
        refused.push(question);
    }
}
