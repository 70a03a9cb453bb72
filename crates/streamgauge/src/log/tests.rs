use super::*;
use model::fact::RowKey;
use model::raw::Origin;

fn record(body: &str) -> RawRecord {
    RawRecord {
        source: "canonical".into(),
        headers: Vec::new(),
        body: body.as_bytes().to_vec(),
        received_at: Timestamp::from_micros(5),
        origin: Origin::default(),
    }
}

fn change(number: u64) -> (u32, RowChange) {
    (3, RowChange::Delete(RowKey::PullRequest("r".into(), number)))
}

#[test]
fn a_transaction_is_there_after_reopening_whole() {
    let folder = tempfile::tempdir().unwrap();
    let entry = |key: u8, value: Option<u8>| {
        (b"task".to_vec(), ChangelogEntry { key: vec![key], value: value.map(|value| vec![value]) })
    };
    {
        let log = EventLog::open(folder.path()).unwrap();
        let first = record("a");
        let hash = record_hash(&first, false);
        assert!(!log.knows(&hash).unwrap());
        let transaction = Transaction {
            records: vec![(hash, first)],
            state: vec![entry(1, Some(1)), entry(2, Some(2))],
            rows: (0..125_000).map(change).collect(),
            position: 1,
            ..Transaction::default()
        };
        assert_eq!(log.commit(transaction).unwrap(), 1);
        let second = Transaction { state: vec![entry(1, None)], position: 1, ..Transaction::default() };
        assert_eq!(log.commit(second).unwrap(), 2);
    }
    let log = EventLog::open(folder.path()).unwrap();
    assert!(log.knows(&record_hash(&record("a"), false)).unwrap());
    assert_eq!((log.position().unwrap(), log.next_sequence().unwrap()), (1, 1));
    assert_eq!(log.raw_from(0).map(Result::unwrap).collect::<Vec<_>>(), [record("a")]);
    assert_eq!(log.state().map(Result::unwrap).collect::<Vec<_>>(), [entry(2, Some(2))]);
    let mut rows = 0;
    let mut after = None;
    while let Some((key, entry)) = log.next_outbox(after.as_deref()).unwrap() {
        assert_eq!(entry.rev, 1);
        rows += entry.rows.len();
        after = Some(key);
    }
    assert_eq!(rows, 125_000);
    log.acknowledge(&[after.unwrap()]).unwrap();
    let left = log.next_outbox(None).unwrap().unwrap().1.rows.len();
    assert_eq!(left, 50_000);
}

#[test]
fn a_new_generation_keeps_what_came_in_and_forgets_what_was_computed() {
    let folder = tempfile::tempdir().unwrap();
    let log = EventLog::open(folder.path()).unwrap();
    let entry = ChangelogEntry { key: vec![1], value: Some(vec![1]) };
    log.commit(Transaction {
        records: vec![(record_hash(&record("a"), false), record("a"))],
        state: vec![(b"t".to_vec(), entry)],
        rows: vec![change(1)],
        position: 1,
        ..Transaction::default()
    })
    .unwrap();
    let generation = Generation { layout: LAYOUT, definition: "d".to_owned(), partitions: 3 };
    log.begin_generation(&generation).unwrap();
    assert_eq!(log.meta::<Generation>("generation").unwrap(), Some(generation));
    assert_eq!((log.position().unwrap(), log.next_sequence().unwrap()), (0, 1));
    assert_eq!((log.state().count(), log.letters().count()), (0, 0));
    assert_eq!(log.next_outbox(None).unwrap(), None);
    // Revisions go on: rows of the new generation win over those of the old one.
    assert_eq!(log.commit(Transaction::default()).unwrap(), 2);
}

#[test]
fn a_dead_letter_stays_over_generations_until_its_record_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let log = EventLog::open(folder.path()).unwrap();
    let rejected = record("a");
    let letter = DeadLetter {
        source: rejected.source.clone(),
        reason: "skew".into(),
        detail: String::new(),
        origin: rejected.origin.clone(),
        received_at: rejected.received_at,
        headers: rejected.headers.clone(),
        body: rejected.body.clone(),
        body_bytes: rejected.body.len() as u64,
    };
    log.commit(Transaction { letters: vec![letter.clone()], ..Transaction::default() }).unwrap();
    log.begin_generation(&Generation::default()).unwrap();
    let hash = record_hash(&rejected, false);
    let kept: Vec<(RecordHash, DeadLetter)> = log.letters().map(Result::unwrap).collect();
    assert_eq!(kept, [(hash, letter)]);
    log.commit(Transaction { taken: vec![hash], records: vec![(hash, rejected)], ..Transaction::default() })
        .unwrap();
    assert!(!log.has_letters().unwrap());
}

#[test]
fn a_record_is_known_by_what_it_says_and_not_by_where_it_was_read() {
    let mut again = record("a");
    again.origin.offset = 9;
    again.received_at = Timestamp::from_micros(9);
    assert_eq!(record_hash(&record("a"), false), record_hash(&again, false));
    assert_ne!(record_hash(&record("a"), true), record_hash(&again, true));
    again.headers.push(("repo".into(), "x".to_owned()));
    assert_ne!(record_hash(&record("a"), false), record_hash(&again, false));
}
