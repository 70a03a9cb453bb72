//! The filters of a program: those of `jaq` that are listed in [`scope`](crate::scope), and our own.
//!
//! | filter | input | gives |
//! |---|---|---|
//! | `todate` | Unix seconds, whole or not | RFC 3339 text |
//! | `frommillis` | Unix milliseconds, a number or a text of digits | RFC 3339 text |
//! | `fromdate` | RFC 3339 text | Unix seconds |
//! | `parse_time($format)` | text in a format of `strftime` | RFC 3339 text; without an offset in it, of the source's zone |
//! | `fromjson` | JSON text | its value |
//! | `base64` | base64 text | the text in it |
//! | `test($re)` | text | whether the regular expression is found in it |
//! | `capture($re)` | text | an object of the named groups of the first match; nothing when there is none |

use crate::convert;
use crate::meter::{Limit, Metered, Run};
use crate::metered::{SIZE, STEP, TIMES};
use crate::scope::NATIVE;
use jaq_core::box_iter::{BoxIter, box_once};
use jaq_core::native::{Fun, bome, unary, v};
use jaq_core::{Cv, Error, Exn, Native, ValR};
use jaq_json::{Map, Num, Val};
use model::base64;
use regex_lite::{Regex, RegexBuilder};
use serde_json::Value;

/// Our filters that work through what they are given.
pub(crate) const OWN: &[&str] =
    &["base64", "capture", "fromdate", "fromjson", "frommillis", "parse_time", "test", "todate"];

/// Longest compiled regular expression, in bytes.
const REGEX_BYTES: usize = 64 * 1024;
/// What compiling a regular expression costs, in steps.
const REGEX_STEPS: u64 = 200;

/// Every filter that is no definition.
pub(crate) fn all() -> Vec<Fun<Metered>> {
    let theirs = jaq_core::funs().chain(jaq_std::base_funs()).chain(jaq_json::funs());
    theirs.filter(|(name, ..)| NATIVE.contains(name)).chain(own()).collect()
}

fn own() -> Vec<Fun<Metered>> {
    vec![
        (
            STEP,
            v(0),
            Native::<Metered>::new(|cv| paid(cv.0.data().meter.step(), cv.1))
                .with_paths(|cv| paid(cv.0.data().meter.step(), cv.1))
                .with_update(|cv, update| match cv.0.data().meter.step() {
                    Ok(()) => update(cv.1),
                    Err(limit) => box_once(Err(ended(limit))),
                }),
        ),
        (
            SIZE,
            v(0),
            Native::<Metered>::new(|cv| paid(cv.0.data().meter.size(&cv.1), cv.1))
                .with_paths(|cv| paid(cv.0.data().meter.size(&cv.1.0), cv.1))
                .with_update(|cv, update| match cv.0.data().meter.size(&cv.1) {
                    Ok(()) => update(cv.1),
                    Err(limit) => box_once(Err(ended(limit))),
                }),
        ),
        (
            TIMES,
            v(2),
            Native::<Metered>::new(|mut cv| {
                let (right, left) = (cv.0.pop_var(), cv.0.pop_var());
                bome(times(left, right))
            }),
        ),
        ("todate", v(0), Native::<Metered>::new(|cv| bome(to_date(&cv.1, 1_000_000.0)))),
        ("frommillis", v(0), Native::<Metered>::new(|cv| bome(from_millis(&cv.1)))),
        ("fromdate", v(0), Native::<Metered>::new(|cv| bome(from_date(&cv.1)))),
        (
            "parse_time",
            v(1),
            Native::<Metered>::new(|cv| {
                let zone = cv.0.data().zone;
                unary(cv, move |text, format| parse_time(&text, &format, zone))
            }),
        ),
        ("fromjson", v(0), Native::<Metered>::new(|cv| bome(from_json(&cv.1)))),
        ("base64", v(0), Native::<Metered>::new(|cv| bome(base64_text(&cv.1)))),
        (
            "test",
            v(1),
            Native::<Metered>::new(|cv| matching(cv, |regex, text| Some(Val::Bool(regex.is_match(text))))),
        ),
        ("capture", v(1), Native::<Metered>::new(|cv| matching(cv, groups))),
    ]
}

type Values<'a> = BoxIter<'a, Result<Val, Exn<'a, Val>>>;

fn paid<'a, T: 'a>(paid: Result<(), Limit>, value: T) -> BoxIter<'a, Result<T, Exn<'a, Val>>> {
    box_once(paid.map(|()| value).map_err(ended))
}

fn ended<'a>(limit: Limit) -> Exn<'a, Val> {
    // What a program may see when it catches this; the run is rejected all the same.
    Exn::from(failed(match limit {
        Limit::Steps => "the mapping takes too many steps",
        Limit::Depth => "the mapping makes a value that lies too deep",
    }))
}

fn failed(what: impl std::fmt::Display) -> Error<Val> {
    Error::str(what)
}

fn needed(value: &Val, what: &str) -> Error<Val> {
    let found = match value {
        Val::Null => "null",
        Val::Bool(_) => "true or false",
        Val::Num(_) => "a number",
        Val::TStr(_) | Val::BStr(_) => "a text",
        Val::Arr(_) => "an array",
        Val::Obj(_) => "an object",
    };
    failed(format!("{what} is expected, not {found}"))
}

/// A text repeated may be of any length, and so may a number of many digits.
fn times(left: Val, right: Val) -> ValR<Val> {
    let small = |value: &Val| matches!(value, Val::Num(Num::Int(_) | Num::Float(_)));
    match (&left, &right) {
        (left_number, right_number) if small(left_number) && small(right_number) => left * right,
        (Val::Obj(_), Val::Obj(_)) => left * right,
        _ => Err(failed("`*` multiplies numbers of 64 bits and merges objects, and nothing else")),
    }
}

fn seconds(value: &Val) -> Result<f64, Error<Val>> {
    match value {
        Val::Num(Num::Int(whole)) => Ok(*whole as f64),
        Val::Num(Num::Float(number)) => Ok(*number),
        other => Err(needed(other, "a number")),
    }
}

/// The time of a number in units of so many microseconds.
fn to_date(value: &Val, unit: f64) -> ValR<Val> {
    let micros = (seconds(value)? * unit).round();
    let time = (micros.abs() < 9e15).then(|| jiff::Timestamp::from_microsecond(micros as i64).ok()).flatten();
    let time = time.ok_or_else(|| failed(format!("{value} is no time")))?;
    Ok(Val::from(time.to_string()))
}

fn from_millis(value: &Val) -> ValR<Val> {
    match convert::text(value) {
        Some(text) => {
            let millis = text.trim().parse::<i64>().ok().and_then(|millis| isize::try_from(millis).ok());
            let millis = millis.ok_or_else(|| failed(format!("{text:?} is no number of milliseconds")))?;
            to_date(&Val::from(millis), 1_000.0)
        }
        None => to_date(value, 1_000.0),
    }
}

fn from_date(value: &Val) -> ValR<Val> {
    let text = text_of(value)?;
    let time: jiff::Timestamp =
        text.parse().map_err(|_| failed(format!("{text:?} is no time as in 2026-01-31T09:30:00Z")))?;
    let micros = time.as_microsecond();
    if micros % 1_000_000 == 0 {
        return isize::try_from(micros / 1_000_000).map(Val::from).map_err(failed);
    }
    Ok(Val::from(micros as f64 / 1_000_000.0))
}

fn parse_time(text: &Val, format: &Val, zone: Option<&str>) -> ValR<Val> {
    let (text, format) = (text_of(text)?, text_of(format)?);
    let parsed = jiff::fmt::strtime::parse(&format, &text)
        .map_err(|error| failed(format!("{text:?} is no time of the form {format:?}: {error}")))?;
    if let Ok(time) = parsed.to_timestamp() {
        return Ok(Val::from(time.to_string()));
    }
    let zone = zone
        .ok_or_else(|| failed(format!("{text:?} is a time without a zone: set the source's `time_zone`")))?;
    let local = parsed.to_datetime().map_err(failed)?;
    let zoned = jiff::tz::TimeZone::get(zone).and_then(|zone| local.to_zoned(zone)).map_err(failed)?;
    Ok(Val::from(zoned.timestamp().to_string()))
}

fn text_of(value: &Val) -> Result<String, Error<Val>> {
    convert::text(value).ok_or_else(|| needed(value, "a text"))
}

fn from_json(value: &Val) -> ValR<Val> {
    let text = text_of(value)?;
    let value: Value =
        serde_json::from_str(&text).map_err(|error| failed(format!("the text is not JSON: {error}")))?;
    Ok(convert::to_program(&value))
}

fn base64_text(value: &Val) -> ValR<Val> {
    let text = text_of(value)?;
    let bytes = decoded(&text).ok_or_else(|| failed("the text is not base64"))?;
    String::from_utf8(bytes).map(Val::from).map_err(|_| failed("the base64 holds no text"))
}

/// Where one letter is left over, something is missing.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let whole = text.trim_end_matches('=').len() % 4 != 1;
    base64::decode(text).filter(|_| whole)
}

fn matching<'a>(mut cv: Cv<'a, Metered>, answer: fn(&Regex, &str) -> Option<Val>) -> Values<'a> {
    let pattern = cv.0.pop_var();
    let run: Run<'a> = *cv.0.data();
    let found: Result<Option<Val>, Error<Val>> = (|| {
        let (pattern, text) = (text_of(&pattern)?, text_of(&cv.1)?);
        run.meter
            .pay(REGEX_STEPS + pattern.len() as u64)
            .map_err(|_| failed("the mapping takes too many steps"))?;
        let regex = RegexBuilder::new(&pattern).size_limit(REGEX_BYTES).build();
        let regex = regex.map_err(|error| failed(format!("regular expression {pattern:?}: {error}")))?;
        // The search costs at most the text's length times the expression's.
        let steps = (text.len() as u64).saturating_mul(pattern.len() as u64) / 64;
        run.meter.pay(steps).map_err(|_| failed("the mapping takes too many steps"))?;
        Ok(answer(&regex, &text))
    })();
    match found {
        Ok(None) => Box::new(std::iter::empty()),
        Ok(Some(value)) => box_once(Ok(value)),
        Err(error) => box_once(Err(Exn::from(error))),
    }
}

fn groups(regex: &Regex, text: &str) -> Option<Val> {
    let found = regex.captures(text)?;
    let group = |name: &str| {
        let part = found.name(name).map_or(Val::Null, |part| Val::from(part.as_str().to_owned()));
        (Val::from(name.to_owned()), part)
    };
    Some(Val::obj(regex.capture_names().flatten().map(group).collect::<Map<Val, Val>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_filter_is_there() {
        let names: Vec<&str> = all().iter().map(|(name, ..)| *name).collect();
        for listed in NATIVE.iter().chain(OWN) {
            assert!(names.contains(listed), "{listed}");
        }
    }

    #[test]
    fn base64_reads_both_alphabets_and_refuses_the_rest() {
        for (text, expected) in [("aGVsbG8", "hello"), ("aGVsbG8h", "hello!"), ("aGk", "hi"), ("", "")] {
            assert_eq!(decoded(text).unwrap(), expected.as_bytes());
        }
        assert_eq!(decoded("-_-_"), decoded("+/+/"));
        assert!(decoded("a").is_none() && decoded("a*bc").is_none());
    }
}
