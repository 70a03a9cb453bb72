//! What is wrong with a program, and where in it.

use std::fmt;

/// A mistake in a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what is expected instead.
    pub what: String,
}

impl Mistake {
    /// A mistake at a part of the program's text; at its end when the part lies elsewhere.
    pub(crate) fn at(code: &str, part: &str, what: impl Into<String>) -> Self {
        let start = (part.as_ptr() as usize).checked_sub(code.as_ptr() as usize);
        let before = start.and_then(|start| code.get(..start)).unwrap_or(code);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self { line, column, what: what.into() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.what)
    }
}

impl std::error::Error for Mistake {}
