//! Just enough of ClickHouse's grammar to know where a result goes to and where an insert's data comes from.
//!
//! A body is read through `FROM INFILE` and a result written through `INTO OUTFILE`; both clauses have to be
//! put into the client's text at the right place. The engine stays the judge of everything else.

use crate::Exception;

/// What kind of statement a text is.
#[derive(Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing but white space and comments.
    Empty,
    /// A `SELECT` in any of its forms. `INTO OUTFILE` belongs at byte `outfile_at`.
    Select { outfile_at: usize, format: Option<String> },
    /// `INSERT … FORMAT name` or `INSERT … VALUES`: its data begins at byte `data_at`.
    InsertData(InsertData),
    /// Anything else. `session`: it changes what later statements of the session mean.
    Other { format: Option<String>, session: bool },
}

/// An insert whose data follows the statement.
#[derive(Debug, PartialEq, Eq)]
pub struct InsertData {
    /// `FROM INFILE` belongs here.
    pub infile_at: usize,
    /// End of what comes after `FROM INFILE` and before the format: the settings.
    pub head_end: usize,
    /// The data's format.
    pub format: String,
    /// First byte of the data.
    pub data_at: usize,
    /// Whether it was `VALUES`.
    pub values: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    Quoted,
    Text,
    Sign(u8),
}

#[derive(Debug, Clone, Copy)]
struct Token {
    kind: Kind,
    start: usize,
    end: usize,
    depth: usize,
}

/// Reads the shape of `text`.
///
/// # Errors
/// Several statements at once, and files named by the client, are refused as a server does.
pub fn shape(text: &[u8]) -> Result<Shape, Exception> {
    let mut tokens = Tokens { text, at: 0, depth: 0 };
    let Some(first) = tokens.next() else { return Ok(Shape::Empty) };
    if is(text, first, "INSERT") { insert(text, tokens) } else { other(text, first, tokens) }
}

/// `value` as a string literal.
pub fn literal(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// `name` as a quoted identifier.
pub fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

/// Whether `name` may be a setting's or a parameter's name.
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Takes `SYNC` or `NO DELAY` from the end of a `DROP` or `DETACH`; blanks keep every position.
///
/// The engine in process never ends such a wait: the statement would hold its thread for good. Without it the
/// name is free at once, and the files go in the background.
pub fn without_sync(mut text: Vec<u8>) -> Vec<u8> {
    let tokens: Vec<Token> =
        Tokens { text: &text, at: 0, depth: 0 }.filter(|t| t.kind != Kind::Sign(b';')).collect();
    let (Some(first), [.., before, last]) = (tokens.first(), tokens.as_slice()) else { return text };
    if !is(&text, *first, "DROP") && !is(&text, *first, "DETACH") {
        return text;
    }
    let range = if is(&text, *last, "SYNC") {
        last.start..last.end
    } else if is(&text, *before, "NO") && is(&text, *last, "DELAY") {
        before.start..last.end
    } else {
        return text;
    };
    if let Some(words) = text.get_mut(range) {
        words.fill(b' ');
    }
    text
}

fn insert(text: &[u8], mut tokens: Tokens<'_>) -> Result<Shape, Exception> {
    let mut token = tokens.next();
    for word in ["INTO", "TABLE", "FUNCTION"] {
        if token.is_some_and(|t| is(text, t, word)) {
            token = tokens.next();
        }
    }
    // The name itself may be any word, so it is stepped over before key words are looked for.
    token = tokens.next();
    while token.is_some_and(|t| t.kind == Kind::Sign(b'.')) {
        tokens.next();
        token = tokens.next();
    }
    let mut settings_at = None;
    while let Some(t) = token {
        if t.depth == 0 && t.kind == Kind::Word {
            if is(text, t, "VALUES") || is(text, t, "FORMAT") {
                let values = is(text, t, "VALUES");
                let named = if values { Some(t) } else { tokens.next() };
                let Some(named) = named else { break };
                let format = if values { "Values".to_owned() } else { word(text, named) };
                let infile_at = settings_at.unwrap_or(t.start);
                let data_at = data_start(text, named.end);
                return Ok(Shape::InsertData(InsertData {
                    infile_at,
                    head_end: t.start,
                    format,
                    data_at,
                    values,
                }));
            }
            if is(text, t, "FROM") {
                return Err(Exception::new(
                    344,
                    "SUPPORT_IS_DISABLED",
                    "FROM INFILE is not allowed over HTTP",
                ));
            }
            if is(text, t, "SETTINGS") {
                settings_at = Some(t.start);
            }
            if is(text, t, "SELECT") || is(text, t, "WITH") {
                return one_statement(tokens).map(|_| Shape::Other { format: None, session: false });
            }
        }
        if t.kind == Kind::Sign(b'(') && t.depth == 0 && is_select(text, tokens.clone().next()) {
            return one_statement(tokens).map(|_| Shape::Other { format: None, session: false });
        }
        token = tokens.next();
    }
    Ok(Shape::Other { format: None, session: false })
}

fn is_select(text: &[u8], token: Option<Token>) -> bool {
    token.is_some_and(|t| is(text, t, "SELECT") || is(text, t, "WITH"))
}

/// Steps over the white space between a format's name and its data, as ClickHouse's parser does.
fn data_start(text: &[u8], mut at: usize) -> usize {
    let here = |at: usize, set: &[u8]| text.get(at).is_some_and(|b| set.contains(b));
    while here(at, b" \t\x0c") {
        at += 1;
    }
    if here(at, b"\r") {
        at += 1;
    }
    if here(at, b"\n") {
        at += 1;
    }
    at
}

fn other(text: &[u8], first: Token, rest: Tokens<'_>) -> Result<Shape, Exception> {
    let mut tokens = vec![first];
    tokens.extend(one_statement(rest)?);
    let outer: Vec<Token> = tokens.iter().copied().filter(|t| t.depth == 0).collect();
    let has = |name: &str| outer.iter().any(|t| is(text, *t, name));
    if outer.windows(2).any(|pair| matches!(pair, [a, b] if is(text, *a, "INTO") && is(text, *b, "OUTFILE")))
    {
        return Err(Exception::new(358, "INTO_OUTFILE_NOT_ALLOWED", "INTO OUTFILE is not allowed"));
    }
    let clause = format_clause(text, &outer);
    let format = clause.map(|(_, name)| word(text, name));
    let selects =
        first.kind == Kind::Sign(b'(') || ["SELECT", "WITH", "FROM"].iter().any(|w| is(text, first, w));
    if selects && !has("INSERT") {
        let end = tokens.last().map_or(first.end, |t| t.end);
        return Ok(Shape::Select { outfile_at: clause.map_or(end, |(at, _)| at.start), format });
    }
    let session = is(text, first, "SET") || is(text, first, "USE") || has("TEMPORARY");
    Ok(Shape::Other { format, session })
}

/// `FORMAT name` at the end or before `SETTINGS`; anywhere else a column or an alias is called `format`.
fn format_clause(text: &[u8], outer: &[Token]) -> Option<(Token, Token)> {
    (0..outer.len()).rev().find_map(|at| {
        let (clause, name) = (*outer.get(at)?, *outer.get(at + 1)?);
        let ends = outer.get(at + 2).is_none_or(|next| is(text, *next, "SETTINGS"));
        (is(text, clause, "FORMAT") && name.kind == Kind::Word && ends).then_some((clause, name))
    })
}

/// The tokens up to the end of the statement, which must be the end of the text too.
fn one_statement(tokens: Tokens<'_>) -> Result<Vec<Token>, Exception> {
    let mut kept = Vec::new();
    let mut ended = false;
    for token in tokens {
        if token.kind == Kind::Sign(b';') && token.depth == 0 {
            ended = true;
        } else if ended {
            return Err(several());
        } else {
            kept.push(token);
        }
    }
    Ok(kept)
}

fn several() -> Exception {
    Exception::new(62, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed)")
}

fn is(text: &[u8], token: Token, name: &str) -> bool {
    token.kind == Kind::Word
        && text.get(token.start..token.end).is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
}

fn word(text: &[u8], token: Token) -> String {
    String::from_utf8_lossy(text.get(token.start..token.end).unwrap_or_default()).into_owned()
}

/// The tokens of a text; white space and comments are stepped over.
#[derive(Clone)]
struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

impl Tokens<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or_default()
    }

    fn position_of(&self, from: usize, needle: &[u8]) -> Option<usize> {
        let rest = self.text.get(from..)?;
        rest.windows(needle.len()).position(|window| window == needle).map(|at| from + at)
    }

    /// Steps over white space and comments.
    fn blank(&mut self) {
        while self.at < self.text.len() {
            let end = match (self.peek(0), self.peek(1)) {
                (byte, _) if byte.is_ascii_whitespace() || byte == 0x0b => Some(self.at + 1),
                (b'-', b'-') | (b'#', b' ' | b'!') => {
                    self.position_of(self.at, b"\n").map(|at| at + 1).or(Some(self.text.len()))
                }
                (b'/', b'*') => {
                    self.position_of(self.at + 2, b"*/").map(|at| at + 2).or(Some(self.text.len()))
                }
                _ => None,
            };
            let Some(end) = end else { return };
            self.at = end;
        }
    }

    /// End of a quoted run that begins at `at`; a backslash and a doubled quote keep it open.
    fn quoted(&self, quote: u8) -> usize {
        let mut at = self.at + 1;
        while let Some(byte) = self.text.get(at) {
            match *byte {
                b'\\' => at += 2,
                byte if byte == quote && self.text.get(at + 1) == Some(&quote) => at += 2,
                byte if byte == quote => return at + 1,
                _ => at += 1,
            }
        }
        self.text.len()
    }

    /// End of `$tag$ … $tag$`, if one begins here.
    fn heredoc(&self) -> Option<usize> {
        let tag_end = self.position_of(self.at + 1, b"$")? + 1;
        let tag = self.text.get(self.at..tag_end)?;
        let named = tag.get(1..tag.len() - 1)?.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
        named.then(|| self.position_of(tag_end, tag).map(|at| at + tag.len())).flatten()
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        self.blank();
        let (start, first) = (self.at, *self.text.get(self.at)?);
        let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80;
        let (kind, end) = match first {
            b'\'' => (Kind::Text, self.quoted(first)),
            b'"' | b'`' => (Kind::Quoted, self.quoted(first)),
            b'$' if self.heredoc().is_some() => (Kind::Text, self.heredoc().unwrap_or(start + 1)),
            byte if is_word(byte) => {
                let rest = self.text.get(start..).unwrap_or_default();
                (Kind::Word, start + rest.iter().take_while(|b| is_word(**b)).count())
            }
            byte => (Kind::Sign(byte), start + 1),
        };
        if matches!(first, b')' | b']' | b'}') && matches!(kind, Kind::Sign(_)) {
            self.depth = self.depth.saturating_sub(1);
        }
        let token = Token { kind, start, end: end.min(self.text.len()), depth: self.depth };
        if matches!(first, b'(' | b'[' | b'{') && matches!(kind, Kind::Sign(_)) {
            self.depth += 1;
        }
        self.at = token.end;
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(text: &str) -> (String, Option<String>) {
        match shape(text.as_bytes()).unwrap() {
            Shape::Select { outfile_at, format } => {
                (format!("{}|{}", &text[..outfile_at], &text[outfile_at..]), format)
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    fn insert(text: &str) -> (String, String, String) {
        match shape(text.as_bytes()).unwrap() {
            Shape::InsertData(d) => (
                format!("{}|{}", &text[..d.infile_at], &text[d.infile_at..d.head_end]),
                d.format,
                text[d.data_at..].to_owned(),
            ),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_result_clause_goes_before_the_format_or_to_the_end() {
        assert_eq!(select("SELECT 1"), ("SELECT 1|".into(), None));
        assert_eq!(select("SELECT 1 ; -- end\n"), ("SELECT 1| ; -- end\n".into(), None));
        assert_eq!(
            select("select 1 format JSON settings a=1"),
            ("select 1 |format JSON settings a=1".into(), Some("JSON".into()))
        );
        assert_eq!(select("SELECT 1 SETTINGS a=1 FORMAT TSV;").1, Some("TSV".into()));
        assert_eq!(select("(SELECT 1) UNION ALL (SELECT 2 FORMAT x)").1, None);
    }

    #[test]
    fn a_column_called_format_is_no_format() {
        assert_eq!(select("SELECT 1 AS format FROM t").1, None);
        assert_eq!(select("SELECT format('{}', x) FROM t").1, None);
        assert_eq!(select("SELECT 'FORMAT JSON'").1, None);
        assert_eq!(select("SELECT 1 -- FORMAT JSON").1, None);
        assert_eq!(select("SELECT $x$ FORMAT JSON; $x$").1, None);
    }

    #[test]
    fn an_insert_ends_at_its_format() {
        let plain = insert("INSERT INTO db.t(a, `format`) FORMAT RowBinary");
        assert_eq!(plain, ("INSERT INTO db.t(a, `format`) |".into(), "RowBinary".into(), "".into()));
        let settings = insert("insert into format settings x=1 format CSV\n1,2;3");
        assert_eq!(settings, ("insert into format |settings x=1 ".into(), "CSV".into(), "1,2;3".into()));
        let values = insert("INSERT INTO t VALUES (1), (';')");
        assert_eq!(values, ("INSERT INTO t |".into(), "Values".into(), "(1), (';')".into()));
    }

    #[test]
    fn an_insert_from_a_query_has_no_data() {
        for text in
            ["INSERT INTO t SELECT 1", "INSERT INTO t (a) (SELECT 1)", "WITH 1 AS x INSERT INTO t SELECT x"]
        {
            assert_eq!(shape(text.as_bytes()), Ok(Shape::Other { format: None, session: false }), "{text}");
        }
    }

    #[test]
    fn several_statements_and_files_of_the_client_are_refused() {
        assert_eq!(shape(b"SELECT 1; SELECT 2").unwrap_err().code, 62);
        assert_eq!(shape(b"INSERT INTO t SELECT 1; DROP TABLE t").unwrap_err().code, 62);
        assert_eq!(shape(b"SELECT 1 INTO OUTFILE '/x'").unwrap_err().code, 358);
        assert_eq!(shape(b"INSERT INTO t FROM INFILE '/x' FORMAT CSV").unwrap_err().code, 344);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        for text in [
            &b"'"[..],
            b"`a\\",
            b"$",
            b"$a$",
            b"/*",
            b"--",
            b"INSERT",
            b"INSERT INTO",
            b"\xff\0)",
            b")))(",
            b"FORMAT",
        ] {
            let _ = shape(text);
        }
        assert_eq!(shape(b" -- nothing"), Ok(Shape::Empty));
    }

    #[test]
    fn a_drop_does_not_wait() {
        let without = |text: &str| String::from_utf8(without_sync(text.into())).unwrap();
        assert_eq!(without("DROP TABLE t SYNC; -- x"), "DROP TABLE t     ; -- x");
        assert_eq!(without("drop database d no delay"), "drop database d         ");
        assert_eq!(without("SELECT 1 AS SYNC"), "SELECT 1 AS SYNC");
        assert_eq!(without("DROP TABLE `SYNC`"), "DROP TABLE `SYNC`");
    }

    #[test]
    fn literals_keep_quotes_and_backslashes() {
        assert_eq!(literal("a'b\\c"), "'a\\'b\\\\c'");
        assert_eq!(identifier("a`b"), "`a\\`b`");
    }
}
