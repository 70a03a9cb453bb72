//! JSON to the values that a program works on, and back.

use jaq_json::{Map, Num, Val};
use serde_json::{Number, Value};

/// A JSON value as a program sees it. Numbers that are no machine integers are floating point.
pub(crate) fn to_program(value: &Value) -> Val {
    match value {
        Value::Null => Val::Null,
        Value::Bool(flag) => Val::Bool(*flag),
        Value::Number(number) => Val::Num(to_number(number)),
        Value::String(text) => Val::from(text.clone()),
        Value::Array(items) => items.iter().map(to_program).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| (Val::from(key.clone()), to_program(value)));
            Val::obj(fields.collect::<Map<Val, Val>>())
        }
    }
}

fn to_number(number: &Number) -> Num {
    match number.as_i64().and_then(|whole| isize::try_from(whole).ok()) {
        Some(whole) => Num::Int(whole),
        None => Num::Float(number.as_f64().unwrap_or(f64::NAN)),
    }
}

/// A program's value as JSON; `None` for what JSON has not: numbers that are not finite, keys that are no texts.
///
/// Its depth is limited by the meter.
pub(crate) fn to_json(value: &Val) -> Option<Value> {
    Some(match value {
        Val::Null => Value::Null,
        Val::Bool(flag) => Value::Bool(*flag),
        Val::Num(Num::Int(whole)) => Value::from(i64::try_from(*whole).ok()?),
        Val::Num(Num::Float(number)) => Value::Number(from_float(*number)?),
        Val::Num(other) => Value::Number(from_float(other.to_string().parse().ok()?)?),
        Val::TStr(_) | Val::BStr(_) => Value::String(text(value)?),
        Val::Arr(items) => Value::Array(items.iter().map(to_json).collect::<Option<_>>()?),
        Val::Obj(fields) => {
            let field = |(key, value): (&Val, &Val)| Some((text(key)?, to_json(value)?));
            Value::Object(fields.iter().map(field).collect::<Option<_>>()?)
        }
    })
}

/// `3.0` becomes `3`: a division gives floating point, and canonical numbers are whole.
fn from_float(number: f64) -> Option<Number> {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        return Some(Number::from(number as i64));
    }
    Number::from_f64(number)
}

/// A text; `None` when it is none.
pub(crate) fn text(value: &Val) -> Option<String> {
    match value {
        Val::TStr(bytes) | Val::BStr(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    }
}
