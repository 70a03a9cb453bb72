//! Bodies in JSON.

use serde_json::Value;

/// An object with another's fields added, which win.
pub(crate) fn extended(mut object: Value, more: Value) -> Value {
    if let (Value::Object(fields), Value::Object(more)) = (&mut object, more) {
        fields.extend(more);
    }
    object
}
