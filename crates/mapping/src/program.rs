//! A program: compiled once, run for each record.

use crate::convert;
use crate::filters;
use crate::meter::{Limit, MAX_DEPTH, Meter, Metered, Run};
use crate::metered::Rewriting;
use crate::mistake::Mistake;
use crate::scope;
use jaq_core::compile::Undefined;
use jaq_core::load::lex::Lexer;
use jaq_core::load::parse::{Def, Parser, Term};
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars};
use jaq_json::Val;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt;

/// Longest program, in bytes.
pub const MAX_PROGRAM_BYTES: usize = 64 * 1024;
/// Most brackets that may lie in each other in a program.
const MAX_BRACKETS: usize = 100;
/// Most operators and words without a `;` between them, and in all: each may lie in the one before, and what lies deep
/// needs a deep stack to run.
const MAX_TOKENS: usize = 1_000;
const MAX_ALL_TOKENS: usize = 4_000;
/// Most events that one record may tell.
pub const MAX_EVENTS: usize = 1_000;
/// Longest word of a drop, in bytes.
const MAX_WORD_BYTES: usize = 64;

/// The name of the definition that is the program: none can be written so.
const MAIN: &str = "@main";
const VARIABLES: [&str; 3] = ["$headers", "$received_at", "$source"];

/// A compiled program.
pub struct Program {
    code: String,
    filter: Filter<Metered>,
    /// The texts in it: a drop's word is one of them.
    texts: BTreeSet<String>,
}

/// What a program sees of a record.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// The source's name, `$source`.
    pub source: &'a str,
    /// `$headers`: names in lower case.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body, JSON: the input.
    pub body: &'a [u8],
    /// `$received_at`, RFC 3339 text.
    pub received_at: &'a str,
    /// The IANA zone of times without one, for `parse_time`.
    pub time_zone: Option<&'a str>,
}

/// What a program makes of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// Events in their JSON form, at least one.
    Events(Vec<Value>),
    /// Nothing, and the word for it.
    Nothing(String),
}

/// Why a record is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The body is not JSON.
    #[error("the body is not JSON: {0}")]
    Body(String),
    /// The program said `error`, or does what cannot be done, such as taking a field of a number.
    #[error("the mapping says: {0}")]
    Error(String),
    /// The program gave what is neither an event nor a drop.
    #[error("the mapping gives {0}")]
    Result(String),
    /// The program takes too long, or makes too much.
    #[error("the mapping {0}")]
    Limit(String),
}

impl Program {
    /// Compiles a program's text.
    ///
    /// # Errors
    /// The first mistake.
    pub fn compile(code: &str) -> Result<Self, Mistake> {
        bounded(code)?;
        let tokens = Lexer::new(code).lex().map_err(|errors| {
            first(code, errors, |(expected, found)| {
                Mistake::at(code, found, format!("{} is expected", expected.as_str()))
            })
        })?;
        let term: Term<&str> = Parser::new(&tokens).parse(|parser| parser.term()).map_err(|errors| {
            first(code, errors, |(expected, found)| {
                let place = found.map_or(end(code), |token| token.0);
                let found = place.chars().take(20).collect::<String>();
                let found = if found.is_empty() { "the end".to_owned() } else { format!("{found:?}") };
                Mistake::at(code, place, format!("{} is expected, not {found}", expected.as_str()))
            })
        })?;
        let definitions: Vec<_> =
            scope::definitions().map(|def| Rewriting::default().definition(def)).collect();
        let mut rewriting = Rewriting::default();
        let main = rewriting.definition(Def { name: MAIN, args: Vec::new(), body: term });
        if let Some(mistake) = rewriting.mistake(code) {
            return Err(mistake);
        }
        let arena = Arena::default();
        let loader = Loader::new(definitions.into_iter().chain([main]));
        let modules = loader
            .load(&arena, File { code: MAIN, path: () })
            .map_err(|_| Mistake::at(code, code, "the program cannot be loaded"))?;
        let filter = Compiler::default()
            .with_funs(filters::all())
            .with_global_vars(VARIABLES)
            .compile(modules)
            .map_err(|errors| {
                let undefined = errors.into_iter().flat_map(|(_, errors)| errors).collect();
                first(code, undefined, |(name, kind)| Mistake::at(code, name, missing(name, &kind)))
            })?;
        let texts = rewriting.texts.into_iter().map(str::to_owned).collect();
        Ok(Self { code: code.to_owned(), filter, texts })
    }

    /// What it makes of a record. The same record always gives the same.
    ///
    /// # Errors
    /// A body that is not JSON, a program that fails or goes beyond a limit.
    pub fn run(&self, delivery: &Delivery<'_>) -> Result<Told, Failure> {
        let body: Value =
            serde_json::from_slice(delivery.body).map_err(|error| Failure::Body(error.to_string()))?;
        let headers = delivery.headers.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value)));
        let headers = Value::Object(headers.collect::<Map<_, _>>());
        let variables = [headers, Value::from(delivery.received_at), Value::from(delivery.source)];
        let meter = Meter::of(delivery.body.len());
        let run = Run { lut: &self.filter.lut, meter: &meter, zone: delivery.time_zone };
        let context = Ctx::<Metered>::new(run, Vars::new(variables.iter().map(convert::to_program)));
        let mut collected = Collected::default();
        for output in self.filter.id.run((context, convert::to_program(&body))) {
            let value = output.map_err(|exception| match (meter.hit(), exception.get_err()) {
                (Some(limit), _) => limited(limit),
                (None, Ok(error)) => Failure::Error(said(&error.into_val())),
                (None, Err(_)) => Failure::Error("it breaks out of a label that is not there".to_owned()),
            })?;
            self.collect(&value, &mut collected)?;
        }
        // An error of the meter may have been caught: what came out then is not what the program says.
        if let Some(limit) = meter.hit() {
            return Err(limited(limit));
        }
        Ok(match (collected.events, collected.dropped) {
            (events, _) if !events.is_empty() => Told::Events(events),
            (_, word) => Told::Nothing(word.unwrap_or_else(|| "nothing_told".to_owned())),
        })
    }

    fn collect(&self, value: &Val, into: &mut Collected) -> Result<(), Failure> {
        match value {
            Val::Null => Ok(()),
            Val::Arr(items) => items.iter().try_for_each(|item| match item {
                Val::Arr(_) => Err(Failure::Result("an array in an array: events are expected".to_owned())),
                item => self.collect(item, into),
            }),
            Val::Obj(_) => {
                let json = convert::to_json(value)
                    .ok_or_else(|| Failure::Result("a number or a key that JSON has not".to_owned()))?;
                match json.get("drop") {
                    Some(word) => self.dropped(word, into),
                    None if into.events.len() >= MAX_EVENTS => {
                        Err(Failure::Limit(format!("tells more than {MAX_EVENTS} events of one record")))
                    }
                    None => {
                        into.events.push(json);
                        Ok(())
                    }
                }
            }
            other => Err(Failure::Result(format!(
                "{}: an event, an array of them, or {{\"drop\": \"word\"}} is expected",
                said(other)
            ))),
        }
    }

    fn dropped(&self, word: &Value, into: &mut Collected) -> Result<(), Failure> {
        let plain = |word: &&str| {
            let letters =
                word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            letters && !word.is_empty() && word.len() <= MAX_WORD_BYTES && self.texts.contains(*word)
        };
        let word = word.as_str().filter(plain).ok_or_else(|| {
            Failure::Result(format!(
                "the drop {word}: a word of a-z, 0-9 and _ that is written out in the mapping is expected, for it is counted"
            ))
        })?;
        into.dropped.get_or_insert_with(|| word.to_owned());
        Ok(())
    }
}

#[derive(Default)]
struct Collected {
    events: Vec<Value>,
    dropped: Option<String>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("code", &self.code).finish_non_exhaustive()
    }
}

impl PartialEq for Program {
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code
    }
}

impl Eq for Program {}

fn limited(limit: Limit) -> Failure {
    Failure::Limit(match limit {
        Limit::Steps => {
            "takes too many steps for a body of that length: does it loop, or double a value?".to_owned()
        }
        Limit::Depth => format!("makes a value in which more than {MAX_DEPTH} lie in each other"),
    })
}

/// A value in a message: a text as it is, anything else as JSON.
fn said(value: &Val) -> String {
    convert::text(value).unwrap_or_else(|| {
        convert::to_json(value).map_or_else(|| "a value that is no JSON".to_owned(), |json| json.to_string())
    })
}

/// The parser goes down with brackets and operators.
fn bounded(code: &str) -> Result<(), Mistake> {
    if code.len() > MAX_PROGRAM_BYTES {
        let what = format!("the program has {} bytes; at most {MAX_PROGRAM_BYTES} are read", code.len());
        return Err(Mistake::at(code, code, what));
    }
    let (mut depth, mut tokens, mut all) = (0_usize, 0_usize, 0_usize);
    let mut in_word = false;
    for (at, letter) in code.char_indices() {
        let word = letter.is_alphanumeric() || letter == '_';
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ';' => tokens = 0,
            letter if letter.is_whitespace() => {}
            _ if word && in_word => {}
            _ => {
                tokens += 1;
                all += 1;
            }
        }
        in_word = word;
        if depth > MAX_BRACKETS || tokens > MAX_TOKENS || all > MAX_ALL_TOKENS {
            let what = format!(
                "at most {MAX_BRACKETS} brackets may lie in each other, and {MAX_TOKENS} words and operators follow each \
                 other without a `;` ({MAX_ALL_TOKENS} in all): put parts into definitions"
            );
            return Err(Mistake::at(code, code.get(at..).unwrap_or_default(), what));
        }
    }
    Ok(())
}

fn first<E>(code: &str, errors: Vec<E>, mistake: impl FnMut(E) -> Mistake) -> Mistake {
    let all = errors.into_iter().map(mistake);
    all.min_by_key(|one| (one.line, one.column))
        .unwrap_or_else(|| Mistake::at(code, code, "it cannot be read"))
}

fn end(code: &str) -> &str {
    code.get(code.len()..).unwrap_or_default()
}

fn missing(name: &str, kind: &Undefined) -> String {
    match scope::why_not(name) {
        Some(why) => format!("`{name}` is not available: {why}"),
        None => match kind {
            Undefined::Filter(arity) => {
                format!("no {} is called `{name}` with {arity} arguments", kind.as_str())
            }
            _ => format!("no {} is called `{name}`", kind.as_str()),
        },
    }
}
