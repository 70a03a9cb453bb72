//! Time: UTC instants in microseconds, spans in whole seconds, and the calendar of panes.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An instant in UTC, in microseconds since 1970. Finer digits are cut when it is read.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Why a text is not an instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// The text has no offset from UTC.
    #[error("time without a zone: {0:?} (write an offset, as in 2026-01-31T09:30:00Z)")]
    NoZone(String),
    /// The text is no RFC 3339 time at all.
    #[error("not a time: {0:?} (RFC 3339 with an offset is expected, as in 2026-01-31T09:30:00Z)")]
    NotATime(String),
    /// The instant lies outside the years 1970 to 2261: most likely another unit.
    #[error(
        "time out of range: {0} (1970 to 2261 is accepted; are these milliseconds where seconds belong?)"
    )]
    OutOfRange(String),
}

impl Timestamp {
    /// The earliest instant that is accepted.
    pub const MIN: Self = Self(0);
    /// The last second of 2261: what ClickHouse's widest time type still holds.
    pub const MAX: Self = Self(9_214_646_399_000_000);

    /// From microseconds since 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }
    /// From whole seconds since 1970, within the accepted range.
    pub fn from_seconds(seconds: i64) -> Result<Self, TimeError> {
        seconds
            .checked_mul(1_000_000)
            .map(Self)
            .filter(|time| *time >= Self::MIN && *time <= Self::MAX)
            .ok_or_else(|| TimeError::OutOfRange(seconds.to_string()))
    }
    /// Microseconds since 1970.
    pub const fn micros(self) -> i64 {
        self.0
    }
    /// Whole seconds since 1970, floored.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
    /// Reads RFC 3339 with an offset.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        match text.parse::<jiff::Timestamp>() {
            Ok(time) => {
                let micros = time.as_nanosecond().div_euclid(1_000);
                i64::try_from(micros)
                    .ok()
                    .map(Self)
                    .filter(|time| *time >= Self::MIN && *time <= Self::MAX)
                    .ok_or_else(|| TimeError::OutOfRange(text.to_owned()))
            }
            Err(_) if text.parse::<jiff::civil::DateTime>().is_ok() => {
                Err(TimeError::NoZone(text.to_owned()))
            }
            Err(_) => Err(TimeError::NotATime(text.to_owned())),
        }
    }
    /// The span since an earlier instant.
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0 - earlier.0)
    }
    /// The instant so much later.
    #[must_use]
    pub const fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
    /// The instant so much earlier.
    #[must_use]
    pub const fn minus(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}
impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}
impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
            Self::parse(&text).map_err(serde::de::Error::custom)
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

/// A signed length of time, kept to the microsecond, told in whole seconds.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(i64);

impl Span {
    /// From whole seconds.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }
    /// From microseconds.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }
    /// From hours.
    pub const fn from_hours(hours: i64) -> Self {
        Self::from_seconds(hours * 3_600)
    }
    /// From minutes.
    pub const fn from_minutes(minutes: i64) -> Self {
        Self::from_seconds(minutes * 60)
    }
    /// From days of 24 hours.
    pub const fn from_days(days: i64) -> Self {
        Self::from_hours(days * 24)
    }
    /// Whole seconds, floored (so that a negative span stays negative).
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
    /// Microseconds.
    pub const fn micros(self) -> i64 {
        self.0
    }
    /// Whether the end lies before the start: clock skew.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }
}

/// An hour of UTC: hours since 1970.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hour(pub i64);

/// A calendar day of the reporting zone: days since 1970-01-01 of that calendar.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(pub i64);

/// The calendar in which days are counted: an IANA zone, its days of 23 and 25 hours included.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
    name: String,
}

impl Calendar {
    /// UTC days.
    pub fn utc() -> Self {
        Self { zone: TimeZone::UTC, name: "UTC".to_owned() }
    }
    /// Days of an IANA zone such as `Europe/Berlin`; `None` when the bundled database has no such zone.
    pub fn named(name: &str) -> Option<Self> {
        if name == "UTC" {
            return Some(Self::utc());
        }
        TimeZone::get(name).ok().map(|zone| Self { zone, name: name.to_owned() })
    }
    /// The zone's name.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// The hour of UTC that holds an instant.
    pub const fn hour(time: Timestamp) -> Hour {
        Hour(time.seconds().div_euclid(3_600))
    }
    /// The end of an hour (exclusive), which is the start of the next.
    pub const fn hour_end(hour: Hour) -> Timestamp {
        Timestamp::from_micros((hour.0 + 1) * 3_600_000_000)
    }
    /// The local day that holds an instant.
    pub fn day(&self, time: Timestamp) -> Day {
        if self.name == "UTC" {
            return Day(time.seconds().div_euclid(86_400));
        }
        let Ok(instant) = jiff::Timestamp::from_microsecond(time.micros()) else {
            return Day(time.seconds().div_euclid(86_400));
        };
        let offset = self.zone.to_offset(instant).seconds();
        Day((time.seconds() + i64::from(offset)).div_euclid(86_400))
    }
    /// The instant at which a local day begins.
    pub fn day_start(&self, day: Day) -> Timestamp {
        let utc = Timestamp::from_micros(day.0 * 86_400_000_000);
        if self.name == "UTC" {
            return utc;
        }
        let Ok(days) = i32::try_from(day.0) else { return utc };
        let date = jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().days(days));
        let start = date.and_then(|date| date.to_zoned(self.zone.clone()));
        start.map_or(utc, |zoned| Timestamp::from_micros(zoned.timestamp().as_microsecond()))
    }
    /// The instant at which a local day ends, which is the start of the next.
    pub fn day_end(&self, day: Day) -> Timestamp {
        self.day_start(Day(day.0 + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_needs_an_offset_and_keeps_its_instant() {
        assert_eq!(
            Timestamp::parse("2026-01-31T10:30:00+01:00").unwrap().to_string(),
            "2026-01-31T09:30:00Z"
        );
        assert!(matches!(Timestamp::parse("2026-01-31T10:30:00"), Err(TimeError::NoZone(_))));
        assert!(matches!(Timestamp::parse("yesterday"), Err(TimeError::NotATime(_))));
        assert!(matches!(Timestamp::from_seconds(1_700_000_000_000), Err(TimeError::OutOfRange(_))));
    }

    #[test]
    fn the_day_on_which_the_clocks_go_back_has_twenty_five_hours() {
        let berlin = Calendar::named("Europe/Berlin").unwrap();
        let day = berlin.day(Timestamp::parse("2025-10-26T12:00:00Z").unwrap());
        let length = berlin.day_end(day).since(berlin.day_start(day));
        assert_eq!(length, Span::from_hours(25));
        assert_eq!(berlin.day(berlin.day_start(day)), day);
        assert_eq!(berlin.day(berlin.day_end(day)), Day(day.0 + 1));
    }

    #[test]
    fn a_span_is_floored_so_that_a_little_skew_stays_negative() {
        assert_eq!(Timestamp::from_micros(1).since(Timestamp::from_micros(2)).seconds(), -1);
    }
}
