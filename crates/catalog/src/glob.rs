//! Path globs: which paths of a repository belong to a service.

use serde::{Serialize, Serializer};
use std::fmt;

/// `**` is any number of path segments, `*` any run of characters within one, `?` one character. A glob that
/// matches a folder matches everything beneath it, and `services/cart/**` matches the folder `services/cart`
/// itself: histories may keep only the first levels of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathGlob {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    AnyDepth,
    Literal(String),
    Pattern(Vec<char>),
}

/// Why a text is no path glob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GlobError {
    /// Nothing to match.
    Empty,
    /// It begins with a slash.
    Absolute,
    /// It has `.` or `..` as a segment.
    Relative,
    /// `**` shares a segment with something else.
    DoubleStar,
    /// A character that other tools give a meaning and that has none here.
    Unsupported(char),
    /// More segments than [`PathGlob::MAX_SEGMENTS`].
    TooLong,
}

impl GlobError {
    /// What is wrong.
    pub fn message(self) -> String {
        match self {
            Self::Empty => "an empty path".to_owned(),
            Self::Absolute => "a path that begins with a slash".to_owned(),
            Self::Relative => "a path with \".\" or \"..\"".to_owned(),
            Self::DoubleStar => "\"**\" beside other characters".to_owned(),
            Self::Unsupported(letter) => format!("\"{letter}\" in a path has no meaning"),
            Self::TooLong => format!("a path of more than {} segments", PathGlob::MAX_SEGMENTS),
        }
    }
    /// What to do.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Empty => "leave the path out, or write \"**\" for the whole repository",
            Self::Absolute => "paths begin at the repository's root: leave the first slash out",
            Self::Relative => "write the path from the repository's root",
            Self::DoubleStar => "write \"**\" alone between slashes, as in \"services/**/api\"",
            Self::Unsupported(_) => "write several paths; \"*\", \"**\" and \"?\" are known",
            Self::TooLong => "end the path earlier: what lies beneath it belongs to it",
        }
    }
}

impl PathGlob {
    /// How many segments a glob may have: its states fit one word.
    pub const MAX_SEGMENTS: usize = 63;

    /// Reads a glob.
    ///
    /// # Errors
    /// See [`GlobError`].
    pub fn new(text: &str) -> Result<Self, GlobError> {
        if text.starts_with('/') {
            return Err(GlobError::Absolute);
        }
        if let Some(letter) = text.chars().find(|letter| "[]{}!\\".contains(*letter) || letter.is_control()) {
            return Err(GlobError::Unsupported(letter));
        }
        let mut segments = Vec::new();
        for part in text.split('/').filter(|part| !part.is_empty()) {
            segments.push(match part {
                "." | ".." => return Err(GlobError::Relative),
                "**" => Segment::AnyDepth,
                part if part.contains("**") => return Err(GlobError::DoubleStar),
                part if part.contains(['*', '?']) => Segment::Pattern(part.chars().collect()),
                part => Segment::Literal(part.to_owned()),
            });
        }
        match segments.len() {
            0 => Err(GlobError::Empty),
            count if count > Self::MAX_SEGMENTS => Err(GlobError::TooLong),
            _ => Ok(Self { text: text.to_owned(), segments }),
        }
    }

    /// The glob as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a path, or a folder that holds it, matches.
    pub fn matches(&self, path: &str) -> bool {
        // Bit n: the first n segments of the glob match what was read of the path.
        let end = 1_u64 << self.segments.len();
        let mut states = self.skip(1);
        for part in path.split('/').filter(|part| !part.is_empty()) {
            let mut next = 0;
            for (at, segment) in self.segments.iter().enumerate().filter(|(at, _)| states & (1 << at) != 0) {
                match segment {
                    Segment::AnyDepth => next |= 1 << at,
                    Segment::Literal(text) if text == part => next |= 1 << (at + 1),
                    Segment::Pattern(pattern) if wildcard(pattern, part) => next |= 1 << (at + 1),
                    Segment::Literal(_) | Segment::Pattern(_) => {}
                }
            }
            states = self.skip(next);
            if states & end != 0 {
                return true;
            }
        }
        false
    }

    /// `**` may also match nothing.
    fn skip(&self, mut states: u64) -> u64 {
        for (at, segment) in self.segments.iter().enumerate() {
            if *segment == Segment::AnyDepth && states & (1 << at) != 0 {
                states |= 1 << (at + 1);
            }
        }
        states
    }
}

impl fmt::Display for PathGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl Serialize for PathGlob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// Whether a text matches a pattern of `*` and `?`. The last star takes one character more after each failure,
/// so the cost is at most the product of the two lengths.
pub(crate) fn wildcard(pattern: &[char], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(letter) = text.get(read) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(expected) if *expected == '?' || expected == letter => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((star_at, star_read)) = star else { return false };
                star = Some((star_at, star_read + 1));
                at = star_at + 1;
                read = star_read + 1;
            }
        }
    }
    pattern.iter().skip(at).all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(glob: &str, yes: &[&str], no: &[&str]) {
        let parsed = PathGlob::new(glob).unwrap();
        for path in yes {
            assert!(parsed.matches(path), "{glob} should match {path}");
        }
        for path in no {
            assert!(!parsed.matches(path), "{glob} should not match {path}");
        }
    }

    #[test]
    fn a_glob_matches_what_lies_beneath_and_the_folder_itself() {
        check(
            "services/cart/**",
            &["services/cart/a.rs", "services/cart/x/y", "services/cart"],
            &["services"],
        );
        check("services/cart/**", &[], &["services/cartoon/a.rs", "lib/services/cart/a.rs"]);
        check("services/cart", &["services/cart/a.rs", "services/cart/"], &["services/ca"]);
        check("lib/**/api", &["lib/api", "lib/a/b/api/x.rs"], &["lib/a/apis"]);
        check("**/*.proto", &["a.proto", "x/y/a.proto"], &["a.protos"]);
        check("src/?ar*", &["src/cart.rs", "src/bar"], &["src/art", "src/scar"]);
        check("**", &["anything", "at/all"], &[""]);
        check("a*b*c", &["abc", "axxbyyc", "abbc"], &["ab", "abcd"]);
    }

    #[test]
    fn a_glob_that_would_never_match_or_that_means_something_else_elsewhere_is_refused() {
        assert_eq!(PathGlob::new(""), Err(GlobError::Empty));
        assert_eq!(PathGlob::new("/services"), Err(GlobError::Absolute));
        assert_eq!(PathGlob::new("../x"), Err(GlobError::Relative));
        assert_eq!(PathGlob::new("a/b**"), Err(GlobError::DoubleStar));
        assert_eq!(PathGlob::new("{a,b}/**"), Err(GlobError::Unsupported('{')));
        assert_eq!(PathGlob::new(&"a/".repeat(64)), Err(GlobError::TooLong));
        check(&"a/".repeat(63), &[&"a/".repeat(63)], &["a"]);
    }
}
