//! The rewriting of a syntax tree such that running it is paid for.
//!
//! What holds afterwards: (1) each value that a term makes or yields, beyond literals, variables and the input itself, has
//! passed `!step` or, where it may be new or large, `!size`; (2) each call of a definition has passed `!step`; (3) what
//! a filter or an operator works through has passed `!size` before. No definition calls itself. So work and memory
//! are bounded by the meter times the length of the program, and the depth of calls by the program alone.
//!
//! Names that begin with `!` cannot be written in a program.

use crate::mistake::Mistake;
use crate::scope::NATIVE;
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::{Part, Path};

/// One step, for a value that passes.
pub(crate) const STEP: &str = "!step";
/// As many steps as the value that passes has parts.
pub(crate) const SIZE: &str = "!size";
/// `*`, of numbers and objects only.
pub(crate) const TIMES: &str = "!times";
/// The right side of an assignment such as `+=`.
const RIGHT: &str = "$!right";

/// Filters that hand values on and work through none.
const PASSING: &[&str] = &["error_empty", "first", "last", "limit", "path", "path_value", "range", "skip"];

/// How deep terms may lie in each other, all definitions of a program added: so deep a call may go, and an ordinary
/// stack must hold it.
const MAX_NESTING: usize = 200;

type Tree<'s> = Term<&'s str>;

/// The state of one rewriting.
#[derive(Debug, Default)]
pub(crate) struct Rewriting<'s> {
    /// The definitions around the place.
    open: Vec<(&'s str, usize)>,
    /// The texts that are written out.
    pub(crate) texts: Vec<&'s str>,
    /// How deep the place lies in its definition, and the deepest place of it so far.
    depth: usize,
    deepest: usize,
    /// The depths of all definitions added: none calls itself, so no call lies deeper.
    nesting: usize,
    /// What cannot be: the place, and why.
    pub(crate) refused: Option<(&'s str, String)>,
}

impl<'s> Rewriting<'s> {
    /// A definition whose every call is paid for.
    pub(crate) fn definition(&mut self, def: Def<&'s str>) -> Def<&'s str> {
        self.open.push((def.name, def.args.len()));
        let around = (std::mem::take(&mut self.depth), std::mem::take(&mut self.deepest));
        let body = then(call(STEP), self.term(def.body));
        self.nesting += self.deepest;
        (self.depth, self.deepest) = around;
        self.open.pop();
        if self.nesting > MAX_NESTING {
            let why = format!(
                "what lies in each other, definitions after each other, is {} deep by here; at most {MAX_NESTING} is run: \
                 use fewer steps after each other",
                self.nesting
            );
            self.refuse(def.name, why);
        }
        Def { name: def.name, args: def.args, body }
    }

    fn boxed(&mut self, mut term: Box<Tree<'s>>) -> Box<Tree<'s>> {
        *term = self.term(std::mem::replace(&mut *term, Term::Id));
        term
    }

    fn sized(&mut self, term: Tree<'s>) -> Tree<'s> {
        then(self.term(term), call(SIZE))
    }

    /// A term that pays.
    fn term(&mut self, term: Tree<'s>) -> Tree<'s> {
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        let paid = self.paid(term);
        self.depth -= 1;
        paid
    }

    fn paid(&mut self, term: Tree<'s>) -> Tree<'s> {
        match term {
            Term::Id | Term::Num(_) | Term::Var(_) | Term::Break(_) => term,
            Term::Recurse => then(term, call(STEP)),
            Term::Str(format, parts) => {
                if let (None, [StrPart::Str(text)]) = (format, parts.as_slice()) {
                    self.texts.push(text);
                    return Term::Str(None, parts);
                }
                then(Term::Str(format, self.parts(parts)), call(SIZE))
            }
            Term::Arr(items) => then(Term::Arr(items.map(|items| self.boxed(items))), call(SIZE)),
            Term::Obj(fields) => {
                let field =
                    |(key, value): (_, Option<_>)| (self.key(key), value.map(|value| self.term(value)));
                then(Term::Obj(fields.into_iter().map(field).collect()), call(SIZE))
            }
            Term::Neg(inner) => then(Term::Neg(self.boxed(inner)), call(STEP)),
            Term::BinOp(left, op, right) => self.binary(*left, op, *right),
            Term::Label(name, inner) => Term::Label(name, self.boxed(inner)),
            Term::Fold(kind, items, pattern, steps) => {
                let (items, pattern) = (self.boxed(items), self.pattern(pattern));
                let steps = steps.into_iter().map(|step| self.term(step)).collect();
                then(Term::Fold(kind, items, pattern, steps), call(STEP))
            }
            Term::TryCatch(inner, caught) => {
                let (inner, caught) = (self.boxed(inner), caught.map(|caught| self.boxed(caught)));
                then(Term::TryCatch(inner, caught), call(STEP))
            }
            Term::IfThenElse(branches, other) => {
                let branch = |(when, what)| (self.term(when), self.term(what));
                let branches = branches.into_iter().map(branch).collect();
                then(Term::IfThenElse(branches, other.map(|other| self.boxed(other))), call(STEP))
            }
            Term::Def(defs, inner) => {
                let defs = defs.into_iter().map(|def| self.definition(def)).collect();
                Term::Def(defs, self.boxed(inner))
            }
            Term::Call(name, arguments) => self.call(name, arguments),
            Term::Path(from, Path(parts)) => {
                // A slice works through what it is taken from.
                let slices =
                    parts.iter().any(|(part, _)| !matches!(part, Part::Index(_) | Part::Range(None, None)));
                let from = if slices { self.sized(*from) } else { self.term(*from) };
                let part = |(part, optional)| {
                    let part = match part {
                        Part::Index(at) => Part::Index(self.term(at)),
                        Part::Range(from, to) => {
                            Part::Range(from.map(|from| self.term(from)), to.map(|to| self.term(to)))
                        }
                    };
                    (part, optional)
                };
                let parts = parts.into_iter().map(part).collect();
                then(Term::Path(Box::new(from), Path(parts)), call(if slices { SIZE } else { STEP }))
            }
        }
    }

    /// The key of an object. One that is written as a text or a variable means more than its value (`{$x}`, `{"a"}`), so
    /// it stays one; what is within a text pays.
    fn key(&mut self, key: Tree<'s>) -> Tree<'s> {
        match key {
            Term::Str(format, parts) => Term::Str(format, self.parts(parts)),
            other => self.term(other),
        }
    }

    fn parts(&mut self, parts: Vec<StrPart<&'s str, Tree<'s>>>) -> Vec<StrPart<&'s str, Tree<'s>>> {
        let part = |part| match part {
            StrPart::Term(term) => StrPart::Term(self.sized(term)),
            other => other,
        };
        parts.into_iter().map(part).collect()
    }

    fn call(&mut self, name: &'s str, arguments: Vec<Tree<'s>>) -> Tree<'s> {
        if self.open.contains(&(name, arguments.len())) {
            self.refuse(
                name,
                format!("`{name}` calls itself: a mapping must end, so use `..`, map, reduce or range"),
            );
        }
        let arguments = arguments.into_iter().map(|argument| self.term(argument)).collect();
        let called = Term::Call(name, arguments);
        if PASSING.contains(&name) {
            then(called, call(STEP))
        } else if NATIVE.contains(&name) || crate::filters::OWN.contains(&name) {
            then(call(SIZE), then(called, call(SIZE)))
        } else {
            called
        }
    }

    fn binary(&mut self, left: Tree<'s>, op: BinaryOp<&'s str>, right: Tree<'s>) -> Tree<'s> {
        let pair = |left, op, right| Term::BinOp(Box::new(left), op, Box::new(right));
        match op {
            BinaryOp::Pipe(None) => pair(self.term(left), op, then(call(STEP), self.term(right))),
            BinaryOp::Pipe(Some(pattern)) => {
                let (left, pattern) = (self.term(left), self.pattern(pattern));
                pair(left, BinaryOp::Pipe(Some(pattern)), then(call(STEP), self.term(right)))
            }
            BinaryOp::Comma => {
                pair(then(call(STEP), self.term(left)), op, then(call(STEP), self.term(right)))
            }
            BinaryOp::Alt | BinaryOp::Or | BinaryOp::And => {
                then(pair(self.term(left), op, self.term(right)), call(STEP))
            }
            BinaryOp::Math(Math::Mul) => {
                then(Term::Call(TIMES, vec![self.sized(left), self.sized(right)]), call(SIZE))
            }
            BinaryOp::Math(_) => then(pair(self.sized(left), op, self.sized(right)), call(SIZE)),
            BinaryOp::Cmp(_) => then(pair(self.sized(left), op, self.sized(right)), call(STEP)),
            BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateAlt => {
                then(pair(self.term(left), op, self.term(right)), call(SIZE))
            }
            // `l += r` is `r as $right | l |= . + $right`, in which each addition pays for itself.
            BinaryOp::UpdateMath(math) => {
                let one = if math == Math::Mul {
                    Term::Call(TIMES, vec![Term::Id, Term::Var(RIGHT)])
                } else {
                    pair(Term::Id, BinaryOp::Math(math), Term::Var(RIGHT))
                };
                let update = pair(self.term(left), BinaryOp::Update, then(then(call(SIZE), one), call(SIZE)));
                let bound = pair(self.sized(right), BinaryOp::Pipe(Some(Pattern::Var(RIGHT))), update);
                then(bound, call(SIZE))
            }
        }
    }

    fn pattern(&mut self, pattern: Pattern<&'s str>) -> Pattern<&'s str> {
        match pattern {
            Pattern::Var(_) => pattern,
            Pattern::Arr(items) => Pattern::Arr(items.into_iter().map(|item| self.pattern(item)).collect()),
            Pattern::Obj(fields) => {
                let field = |(key, value)| (self.key(key), self.pattern(value));
                Pattern::Obj(fields.into_iter().map(field).collect())
            }
        }
    }

    fn refuse(&mut self, place: &'s str, why: String) {
        self.refused.get_or_insert((place, why));
    }

    /// The first thing that cannot be, as a mistake of that program.
    pub(crate) fn mistake(&self, code: &str) -> Option<Mistake> {
        self.refused.as_ref().map(|(place, why)| Mistake::at(code, place, why.as_str()))
    }
}

fn call<'s>(name: &'static str) -> Tree<'s> {
    Term::Call(name, Vec::new())
}

fn then<'s>(left: Tree<'s>, right: Tree<'s>) -> Tree<'s> {
    Term::BinOp(Box::new(left), BinaryOp::Pipe(None), Box::new(right))
}
