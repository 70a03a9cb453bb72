//! What a run may cost, and what it has cost.

use jaq_core::Lut;
use jaq_core::data::{DataT, HasLut};
use jaq_json::Val;
use std::cell::Cell;

/// Steps that a run may take, whatever the body. A step is an evaluation, a value looked at, or 16 bytes of a text; it
/// takes less than a microsecond and 64 bytes.
pub const STEPS: u64 = 1_000_000;
/// Further steps for each byte of the body: programs that look at everything a few times may do so.
pub const STEPS_PER_BYTE: u64 = 4;
/// Most steps of one record, however long its body: seconds, not minutes.
pub const MAX_STEPS: u64 = 5_000_000;
/// How deep arrays and objects may lie in each other.
pub const MAX_DEPTH: usize = 192;

const BYTES_PER_STEP: usize = 16;

/// Why a run was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// The steps are used up.
    Steps,
    /// A value lies too deep.
    Depth,
}

/// The meter of one run.
#[derive(Debug)]
pub(crate) struct Meter {
    left: Cell<u64>,
    hit: Cell<Option<Limit>>,
}

impl Meter {
    /// A meter for a body of that length.
    pub(crate) fn of(body_bytes: usize) -> Self {
        Self {
            left: Cell::new((STEPS + STEPS_PER_BYTE * body_bytes as u64).min(MAX_STEPS)),
            hit: Cell::new(None),
        }
    }

    /// The limit that ended the run. A program cannot hide it by catching the error.
    pub(crate) fn hit(&self) -> Option<Limit> {
        self.hit.get()
    }

    /// Takes one step.
    pub(crate) fn step(&self) -> Result<(), Limit> {
        self.pay(1)
    }

    /// Takes as many steps as a value has parts, counted as a tree: shared parts count each time that they are there.
    pub(crate) fn size(&self, value: &Val) -> Result<(), Limit> {
        self.walk(value, 0)
    }

    fn walk(&self, value: &Val, depth: usize) -> Result<(), Limit> {
        self.pay(match value {
            Val::TStr(text) | Val::BStr(text) => 1 + (text.len() / BYTES_PER_STEP) as u64,
            _ => 1,
        })?;
        if depth > MAX_DEPTH {
            self.hit.set(Some(Limit::Depth));
            return Err(Limit::Depth);
        }
        match value {
            Val::Arr(items) => items.iter().try_for_each(|item| self.walk(item, depth + 1)),
            Val::Obj(fields) => fields.iter().try_for_each(|(key, value)| {
                self.walk(key, depth + 1)?;
                self.walk(value, depth + 1)
            }),
            _ => Ok(()),
        }
    }

    /// Takes as many steps.
    pub(crate) fn pay(&self, steps: u64) -> Result<(), Limit> {
        if let Some(limit) = self.hit.get() {
            return Err(limit);
        }
        let Some(left) = self.left.get().checked_sub(steps) else {
            self.hit.set(Some(Limit::Steps));
            return Err(Limit::Steps);
        };
        self.left.set(left);
        Ok(())
    }
}

/// The kind of run that our filters belong to: values of `jaq`, a meter, and the zone of times without one.
pub(crate) struct Metered;

/// What every filter of one run can reach.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) lut: &'a Lut<Metered>,
    pub(crate) meter: &'a Meter,
    pub(crate) zone: Option<&'a str>,
}

impl DataT for Metered {
    type V<'a> = Val;
    type Data<'a> = Run<'a>;
}

impl<'a> HasLut<'a, Metered> for Run<'a> {
    fn lut(&self) -> &'a Lut<Metered> {
        self.lut
    }
}
