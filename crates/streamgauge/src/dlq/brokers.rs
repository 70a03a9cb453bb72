//! Dead letters on the brokers.

use super::{Named, Outcomes, columns, row, write_whole};
use crate::cli;
use crate::failure::{DONE, FAILED, wrong};
use crate::output::{Format, Table};
use anyhow::anyhow;
use kafka::KafkaSettings;
use kafka::dlq::{DeadLetters, Filter, Letter};
use model::raw::DeadLetter;
use std::collections::VecDeque;
use std::io::Write;
use std::ops::ControlFlow;

/// The newest letters that are wanted, oldest first.
pub fn list(
    settings: &KafkaSettings,
    filter: &Filter,
    limit: usize,
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    let letters = DeadLetters::open(settings)?;
    let mut newest: VecDeque<Letter> = VecDeque::new();
    letters.each(filter, |mut found| -> anyhow::Result<ControlFlow<()>> {
        // What is listed shows no body.
        found.letter.body = Vec::new();
        let after = newest.partition_point(|known| order(known) <= order(&found));
        newest.insert(after, found);
        if newest.len() > limit {
            newest.pop_front();
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let mut table = Table::new(&columns());
    for found in &newest {
        table.row(row(&Named { id: id(found), at: Some(found.at), letter: &found.letter }));
    }
    table.write(format, out)?;
    Ok(DONE)
}

fn order(letter: &Letter) -> (i64, i32, i64) {
    (letter.at.micros(), letter.partition, letter.offset)
}

fn id(letter: &Letter) -> String {
    format!("{}:{}", letter.partition, letter.offset)
}

/// One letter, whole.
pub fn show(settings: &KafkaSettings, id: &str, format: Format, out: &mut impl Write) -> anyhow::Result<u8> {
    let found = find(&DeadLetters::open(settings)?, id)?;
    write_whole(&Named { id: id.to_owned(), at: Some(found.at), letter: &found.letter }, format, out)?;
    Ok(DONE)
}

fn find(letters: &DeadLetters, id: &str) -> anyhow::Result<Letter> {
    let place = id
        .split_once(':')
        .and_then(|(partition, offset)| Some((partition.parse().ok()?, offset.parse().ok()?)));
    let Some((partition, offset)) = place else {
        return Err(wrong(format!("{id:?} is no letter: PARTITION:OFFSET, as `dlq list` shows them")));
    };
    letters
        .at(partition, offset)?
        .ok_or_else(|| anyhow!("there is no letter at {id}: letters are kept for 30 days"))
}

/// Sends records again.
pub fn replay(
    settings: &KafkaSettings,
    command: &cli::DlqReplay,
    filter: &Filter,
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    // Two clients: one goes through the letters while the other reads their records.
    let (letters, mut records) = (DeadLetters::open(settings)?, DeadLetters::open(settings)?);
    let mut outcomes = Outcomes::new();
    let mut left = command.limit.unwrap_or(usize::MAX);
    if command.ids.is_empty() {
        letters.each(filter, |found| -> anyhow::Result<ControlFlow<()>> {
            if left == 0 {
                return Ok(ControlFlow::Break(()));
            }
            left -= 1;
            again(&mut records, &id(&found), &found.letter, command.dry_run, &mut outcomes)?;
            Ok(ControlFlow::Continue(()))
        })?;
    }
    for id in &command.ids {
        let found = find(&letters, id)?;
        again(&mut records, id, &found.letter, command.dry_run, &mut outcomes)?;
    }
    records.finish()?;
    outcomes.table.write(format, out)?;
    Ok(if outcomes.refused { FAILED } else { DONE })
}

fn again(
    records: &mut DeadLetters,
    id: &str,
    letter: &DeadLetter,
    dry_run: bool,
    outcomes: &mut Outcomes,
) -> anyhow::Result<()> {
    match records.replay(letter)? {
        Ok(replay) => {
            if !dry_run {
                records.send(&replay)?;
            }
            let (did, from) = (
                if dry_run { "would be sent" } else { "sent" },
                if replay.original {
                    "as it lies there"
                } else {
                    "from the letter's copy: it is no longer there"
                },
            );
            let (bytes, topic) = (replay.body.len(), &replay.topic);
            outcomes.add(id, letter, format!("{bytes} bytes {did} to {topic} again, {from}"), false);
        }
        Err(refusal) => outcomes.add(id, letter, refusal.to_string(), true),
    }
    Ok(())
}
