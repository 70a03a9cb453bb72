//! Additions to a text, and the unified diff that tells them.

use std::fmt::Write as _;

/// Lines around a change.
const CONTEXT: usize = 3;

/// A text with additions: nothing of it is taken away.
#[derive(Debug)]
pub struct Change {
    lines: Vec<Line>,
}

#[derive(Debug)]
enum Line {
    Kept(String),
    Removed(String),
    Added(String),
}

impl Change {
    /// The text with what is inserted at byte offsets (on character boundaries; several at one place in their
    /// order), and with what comes after its end.
    pub(crate) fn new(text: &str, mut insertions: Vec<(usize, String)>, tail: &str) -> Self {
        insertions.sort_by_key(|(at, _)| *at);
        let mut pending = insertions.into_iter().peekable();
        let mut lines = Vec::new();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let end = start + line.len();
            let is_last = end == text.len();
            let mut whole = line.to_owned();
            let mut shift = 0;
            while let Some((at, added)) = pending.next_if(|(at, _)| *at < end || (is_last && *at == end)) {
                if at == start && added.ends_with('\n') {
                    lines.extend(added.split_inclusive('\n').map(|line| Line::Added(line.to_owned())));
                    continue;
                }
                if at == end && !whole.ends_with('\n') {
                    whole.push('\n');
                    shift += 1;
                }
                whole.insert_str(at - start + shift, &added);
                shift += added.len();
            }
            if is_last && !tail.is_empty() && !whole.ends_with('\n') {
                whole.push('\n');
            }
            if whole == line {
                lines.push(Line::Kept(whole));
            } else if let Some(rest) = whole.strip_prefix(line).filter(|_| line.ends_with('\n')) {
                lines.push(Line::Kept(line.to_owned()));
                lines.extend(rest.split_inclusive('\n').map(|line| Line::Added(line.to_owned())));
            } else {
                lines.push(Line::Removed(line.to_owned()));
                lines.extend(whole.split_inclusive('\n').map(|line| Line::Added(line.to_owned())));
            }
            start = end;
        }
        lines.extend(tail.split_inclusive('\n').map(|line| Line::Added(line.to_owned())));
        Self { lines }
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| matches!(line, Line::Kept(_)))
    }

    /// The text after the change.
    pub fn text(&self) -> String {
        let new = self.lines.iter().filter_map(|line| match line {
            Line::Kept(line) | Line::Added(line) => Some(line.as_str()),
            Line::Removed(_) => None,
        });
        new.collect()
    }

    /// The change of a file as a unified diff, for `git apply` and `patch -p1`; empty when nothing changes.
    pub fn diff(&self, file: &str) -> String {
        let mut out = String::new();
        if self.is_empty() {
            return out;
        }
        let is_new = self.lines.iter().all(|line| matches!(line, Line::Added(_)));
        let old = if is_new { "/dev/null".to_owned() } else { format!("a/{file}") };
        // Writing to a text cannot fail.
        _ = write!(out, "--- {old}\n+++ b/{file}\n");
        let changed: Vec<usize> = self
            .lines
            .iter()
            .enumerate()
            .filter(|(_, line)| !matches!(line, Line::Kept(_)))
            .map(|(at, _)| at)
            .collect();
        let mut hunks: Vec<(usize, usize)> = Vec::new();
        for at in changed {
            let (from, until) = (at.saturating_sub(CONTEXT), (at + CONTEXT + 1).min(self.lines.len()));
            match hunks.last_mut().filter(|(_, end)| from <= *end) {
                Some((_, end)) => *end = until,
                None => hunks.push((from, until)),
            }
        }
        for (from, until) in hunks {
            self.hunk(&mut out, from, until);
        }
        out
    }

    fn hunk(&self, out: &mut String, from: usize, until: usize) {
        let (old_before, new_before) = count(self.lines.iter().take(from));
        let part = || self.lines.iter().skip(from).take(until - from);
        let (old, new) = count(part());
        // A side without lines is told by the line before it.
        let first = |before: usize, lines: usize| if lines == 0 { before } else { before + 1 };
        let (old_first, new_first) = (first(old_before, old), first(new_before, new));
        _ = writeln!(out, "@@ -{old_first},{old} +{new_first},{new} @@");
        for line in part() {
            let (mark, line) = match line {
                Line::Kept(line) => (' ', line),
                Line::Removed(line) => ('-', line),
                Line::Added(line) => ('+', line),
            };
            _ = write!(out, "{mark}{line}");
            if !line.ends_with('\n') {
                out.push_str("\n\\ No newline at end of file\n");
            }
        }
    }
}

/// How many lines are there before and after the change.
fn count<'l>(lines: impl Iterator<Item = &'l Line>) -> (usize, usize) {
    lines.fold((0, 0), |(old, new), line| match line {
        Line::Kept(_) => (old + 1, new + 1),
        Line::Removed(_) => (old + 1, new),
        Line::Added(_) => (old, new + 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_grows_is_replaced_and_lines_between_are_added() {
        let change = Change::new("a = [1]\nb\n", vec![(6, ", 2".into()), (0, "# why\n".into())], "c\n");
        assert_eq!(change.text(), "# why\na = [1, 2]\nb\nc\n");
        assert_eq!(
            change.diff("f"),
            "--- a/f\n+++ b/f\n@@ -1,2 +1,4 @@\n+# why\n-a = [1]\n+a = [1, 2]\n b\n+c\n"
        );
    }

    #[test]
    fn a_last_line_without_an_end_gets_one_and_an_empty_file_is_a_new_one() {
        let change = Change::new("a", Vec::new(), "b\n");
        assert_eq!(
            change.diff("f"),
            "--- a/f\n+++ b/f\n@@ -1,1 +1,2 @@\n-a\n\\ No newline at end of file\n+a\n+b\n"
        );
        assert_eq!(
            Change::new("", Vec::new(), "b\n").diff("f"),
            "--- /dev/null\n+++ b/f\n@@ -0,0 +1,1 @@\n+b\n"
        );
        assert_eq!(Change::new("name = \"a\"", vec![(10, "b\n".into())], "").text(), "name = \"a\"\nb\n");
    }

    #[test]
    fn nothing_added_is_no_diff() {
        assert!(Change::new("a\nb", Vec::new(), "").is_empty());
        assert_eq!(Change::new("a\nb", Vec::new(), "").diff("f"), "");
    }
}
