//! Records made of deliveries by damage. The same number makes the same record.

use super::common::seeds::Seed;
use serde_json::Value;

/// A record to be read.
pub struct Case {
    pub source: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A longer record is cut.
const MOST_BYTES: usize = 4 << 20;

/// Values that a field may turn into.
const VALUES: [&str; 22] = [
    "null",
    "true",
    "0",
    "-1",
    "-1.5",
    "1e300",
    "18446744073709551616",
    "253402300800",
    "9223372036854775807",
    "\"\"",
    "\"x\"",
    "\"é\\u0000\"",
    "\"\\ud83d\\ude00/\\u202e..//%2f\"",
    "\"0001-01-01T00:00:00Z\"",
    "\"9999-12-31T23:59:59Z\"",
    "\"2025-12-29 10:00:00\"",
    "\"2025-12-29 10:00:00 UTC\"",
    "\"4f1c0000000000000000000000000000000000aa\"",
    "[]",
    "[[[[]]]]",
    "{}",
    "{\"\":{\"a\":[null]}}",
];

/// What is looked for in texts, to be found very often.
const SIGNS: [&str; 12] = [
    "@",
    "%40",
    "%",
    "a@",
    "a@b.co ",
    "a@b.co:",
    "://",
    "https://a:b@",
    "<a@b.co>",
    "This reverts commit ",
    "pagerduty.com/incidents/",
    "\n",
];

/// The case of a number: one of the source's deliveries, damaged in one to four places.
pub fn damaged(source: &str, number: u64, seeds: &[Seed]) -> Case {
    let mut dice = Dice::of(source, number);
    let own: Vec<&Seed> = seeds.iter().filter(|seed| seed.source == source).collect();
    let seed = own[dice.below(own.len())];
    let mut case = Case { source: source.to_owned(), headers: seed.headers.clone(), body: seed.body.clone() };
    for _ in 0..=dice.below(4) {
        let other = own[dice.below(own.len())];
        match dice.below(10) {
            0 => headers(&mut case, &mut dice, seeds),
            1 | 2 => bytes(&mut case.body, &mut dice, other),
            _ => json(&mut case.body, &mut dice, other),
        }
        case.body.truncate(MOST_BYTES);
    }
    case
}

fn headers(case: &mut Case, dice: &mut Dice, seeds: &[Seed]) {
    let other = &seeds[dice.below(seeds.len())].headers;
    match dice.below(4) {
        0 => case.headers.clear(),
        1 => case.headers.extend(other.iter().cloned()),
        2 if !case.headers.is_empty() => {
            let at = dice.below(case.headers.len());
            case.headers[at].1 = dice.text();
        }
        _ => {
            let names =
                ["environment", "repo", "sha", "service", "cluster", "ce-type", "ce-time", "content-type"];
            case.headers.push((names[dice.below(names.len())].to_owned(), dice.text()));
        }
    }
}

fn bytes(body: &mut Vec<u8>, dice: &mut Dice, other: &Seed) {
    let at = dice.below(body.len() + 1);
    let end = (at + dice.below(40)).min(body.len());
    match dice.below(6) {
        0 => body.truncate(at),
        1 => drop(body.drain(at..end)),
        2 if at < body.len() => body[at] ^= 1 << dice.below(8),
        3 => {
            let run: Vec<u8> = (0..dice.below(24)).map(|_| dice.next() as u8).collect();
            drop(body.splice(at..end, run));
        }
        4 => {
            let part = body[at..end].repeat(1 + dice.below(2_000));
            drop(body.splice(at..at, part));
        }
        _ => {
            let from = dice.below(other.body.len() + 1);
            drop(body.splice(at.., other.body[from..].iter().copied()));
        }
    }
}

/// Damage that leaves a document. Long texts and long lists together find what grows with the product of the two.
fn json(body: &mut Vec<u8>, dice: &mut Dice, other: &Seed) {
    let Ok(mut whole) = serde_json::from_slice::<Value>(body) else { return bytes(body, dice, other) };
    let kind = dice.below(8);
    let wanted: fn(&Value) -> bool = match kind {
        0 | 1 => Value::is_array,
        2 | 3 => Value::is_string,
        4 => Value::is_object,
        _ => |_| true,
    };
    let mut places = Vec::new();
    collect(&whole, &mut Vec::new(), wanted, &mut places);
    if places.is_empty() {
        return bytes(body, dice, other);
    }
    let place = &places[dice.below(places.len())];
    let Some(value) = at(&mut whole, place) else { return };
    match (kind, value) {
        (0 | 1, Value::Array(items)) => {
            let times = 1 + dice.below(3_000);
            let some: Vec<Value> = items.iter().take(4).cloned().collect();
            let weight: usize = some.iter().map(|item| item.to_string().len()).sum();
            items.extend(
                some.iter().cycle().take((MOST_BYTES / 2 / weight.max(1)).min(times * some.len())).cloned(),
            );
        }
        (2, Value::String(text)) => {
            *text = text.repeat(1 + dice.below(20_000).min(200_000 / text.len().max(1)))
        }
        (3, Value::String(text)) => *text = dice.text(),
        (4, Value::Object(fields)) => {
            if let Some(key) = fields.keys().nth(dice.below(fields.len().max(1))).cloned() {
                fields.remove(&key);
            }
        }
        (5, value) => {
            for _ in 0..dice.below(200) {
                *value = Value::Array(vec![value.take()]);
            }
        }
        (6, value) => {
            if let Ok(mut source) = serde_json::from_slice::<Value>(&other.body) {
                let mut places = Vec::new();
                collect(&source, &mut Vec::new(), |_| true, &mut places);
                if let Some(taken) = at(&mut source, &places[dice.below(places.len())]) {
                    *value = taken.take();
                }
            }
        }
        (_, value) => *value = serde_json::from_str(VALUES[dice.below(VALUES.len())]).unwrap(),
    }
    *body = whole.to_string().into_bytes();
}

/// One step into a document.
#[derive(Clone)]
enum Step {
    Key(String),
    Index(usize),
}

fn collect(value: &Value, here: &mut Vec<Step>, wanted: fn(&Value) -> bool, places: &mut Vec<Vec<Step>>) {
    // Enough to choose from in a document that was made long.
    if places.len() >= 10_000 {
        return;
    }
    let mut into = |step: Step, child: &Value| {
        here.push(step);
        collect(child, here, wanted, places);
        here.pop();
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, child)| into(Step::Key(key.clone()), child)),
        Value::Array(items) => items.iter().enumerate().for_each(|(at, child)| into(Step::Index(at), child)),
        _ => {}
    }
    if wanted(value) {
        places.push(here.clone());
    }
}

fn at<'a>(value: &'a mut Value, place: &[Step]) -> Option<&'a mut Value> {
    place.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(at) => value.get_mut(at),
    })
}

/// Numbers that look random and are not. Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators"
/// (SplitMix64).
struct Dice(u64);

impl Dice {
    fn of(source: &str, number: u64) -> Self {
        let name =
            source.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
        Self(name.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number.wrapping_mul(0xd134_2543_de82_ef95))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }

    /// A text that is long, odd, or nearly one that is read.
    fn text(&mut self) -> String {
        match self.below(7) {
            0 => "a".repeat(self.below(200_000)),
            1 => "/".repeat(1 + self.below(5_000)),
            2 => "%25:@=#?&\u{0}é\u{202e}\n\t\"\\".repeat(1 + self.below(50)),
            3 => "deploy production staging hotfix revert service:x ".repeat(1 + self.below(3_000)),
            4 => "https://user:secret@host:99999999/a/b.git?x#y".to_owned(),
            5 => {
                let sign = SIGNS[self.below(SIGNS.len())];
                sign.repeat(1 + self.below(200_000 / sign.len()))
            }
            _ => (0..self.below(64)).filter_map(|_| char::from_u32(self.next() as u32 % 0x11_0000)).collect(),
        }
    }
}
