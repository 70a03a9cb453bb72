//! What programs may do, and what becomes of those that do too much.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use streamgauge_mapping::{Delivery, Failure, MAX_EVENTS, Mistake, Program, Told};

fn run_on(code: &str, body: &[u8]) -> Result<Told, Failure> {
    let program = Program::compile(code).unwrap_or_else(|mistake| panic!("{code}: {mistake}"));
    program.run(&Delivery {
        source: "own",
        headers: &[("x-event", "deployed")],
        body,
        received_at: "2026-01-01T00:00:00Z",
        time_zone: Some("Europe/Berlin"),
    })
}

fn run(code: &str, body: Value) -> Result<Told, Failure> {
    run_on(code, body.to_string().as_bytes())
}

/// What the one event of a program says under `x`.
fn x(code: &str, body: Value) -> Value {
    match run(&format!("{{x: ({code})}}"), body) {
        Ok(Told::Events(events)) => events[0]["x"].clone(),
        other => panic!("{code}: {other:?}"),
    }
}

fn mistake(code: &str) -> Mistake {
    Program::compile(code).expect_err(code)
}

#[test]
fn a_program_gives_an_event_an_array_a_stream_or_nothing() {
    let (a, b) = (json!({"id": "a"}), json!({"id": "b"}));
    for code in [r#"{id: "a"}, {id: "b"}"#, r#"[{id: "a"}, {id: "b"}]"#, r#".ids[] | {id: .}"#] {
        let told = run(code, json!({"ids": ["a", "b"]}));
        assert_eq!(told, Ok(Told::Events(vec![a.clone(), b.clone()])), "{code}");
    }
    for code in ["empty", "null", "[]"] {
        assert_eq!(run(code, json!(1)), Ok(Told::Nothing("nothing_told".to_owned())), "{code}");
    }
    let dropped =
        run(r#"if .kind == "ping" then {drop: "ping_not_used"} else . end"#, json!({"kind": "ping"}));
    assert_eq!(dropped, Ok(Told::Nothing("ping_not_used".to_owned())));
    // What else the record tells counts.
    assert_eq!(run(r#"{drop: "a"}, {id: "a"}"#, json!(1)), Ok(Told::Events(vec![a])));
}

#[test]
fn a_word_to_drop_with_must_be_written_out() {
    for code in [r#"{drop: .word}"#, r#"{drop: "Not a word"}"#, r#"{drop: 7}"#, r#"{drop: ""}"#] {
        assert!(matches!(run(code, json!({"word": "any"})), Err(Failure::Result(_))), "{code}");
    }
}

#[test]
fn an_error_rejects_with_its_text() {
    assert_eq!(run(r#"error("no version")"#, json!({})), Err(Failure::Error("no version".to_owned())));
    assert_eq!(run(r#"{id: "a"}, error("late")"#, json!({})), Err(Failure::Error("late".to_owned())));
    let Err(Failure::Error(text)) = run(".a.b", json!({"a": 1})) else { panic!("a field of a number") };
    assert!(text.contains("index"), "{text}");
    assert!(matches!(run_on(".", b"{\"a\":"), Err(Failure::Body(_))));
    assert!(matches!(run("1", json!(1)), Err(Failure::Result(_))));
    assert!(matches!(run("[[{}]]", json!(1)), Err(Failure::Result(_))));
}

#[test]
fn it_sees_headers_the_source_and_when_the_record_was_received() {
    assert_eq!(x(r#"$headers["x-event"]"#, json!(1)), json!("deployed"));
    assert_eq!(x("$headers.none", json!(1)), json!(null));
    assert_eq!(x("$source + $received_at", json!(1)), json!("own2026-01-01T00:00:00Z"));
}

#[test]
fn the_filters_of_mappings_do_what_they_say() {
    for (code, body, expected) in [
        ("todate", json!(1_767_225_600), json!("2026-01-01T00:00:00Z")),
        (". / 1000 | todate", json!(1_767_225_600_500_i64), json!("2026-01-01T00:00:00.5Z")),
        ("frommillis", json!("1767225600500"), json!("2026-01-01T00:00:00.5Z")),
        ("frommillis", json!(1_767_225_600_500_i64), json!("2026-01-01T00:00:00.5Z")),
        ("fromdate", json!("2026-01-01T01:00:00+01:00"), json!(1_767_225_600)),
        (r#"parse_time("%Y%m%dT%H%M%S%z")"#, json!("20260101T010000+0100"), json!("2026-01-01T00:00:00Z")),
        // Of the source's zone.
        (r#"parse_time("%d.%m.%Y %H:%M")"#, json!("01.07.2026 02:00"), json!("2026-07-01T00:00:00Z")),
        ("fromjson.a", json!(r#"{"a": [1.5]}"#), json!([1.5])),
        ("base64 | fromjson", json!("eyJhIjoxfQ=="), json!({"a": 1})),
        (r#"test("^v[0-9]+")"#, json!("v12"), json!(true)),
        (
            r#"capture("github.com/(?<repo>[^/]+/[^/]+)").repo"#,
            json!("https://github.com/a/b/c"),
            json!("a/b"),
        ),
        (r#"[capture("(?<a>x)")]"#, json!("y"), json!([])),
        (r#"split("/")[-1] | ascii_downcase | ltrimstr("v")"#, json!("a/V1"), json!("1")),
        ("to_entries | map(.key) | sort | join(\",\")", json!({"b": 1, "a": 2}), json!("a,b")),
        ("[.[] | select(.ok) | .n] | add", json!([{"ok": true, "n": 2}, {"ok": false, "n": 4}]), json!(2)),
        ("del(.a) | .c += 1 | .b //= 5 | .c *= 2", json!({"a": 1, "c": 2}), json!({"b": 5, "c": 6})),
        ("reduce .[] as [$k, $v] ({}; .[$k] = $v)", json!([["a", 1], ["b", 2]]), json!({"a": 1, "b": 2})),
        ("def twice(f): f | f; twice(. + 1)", json!(1), json!(3)),
        (".[] as {$a, b: [$c]} | \"\\($a)-\\($c)\"", json!([{"a": 1, "b": [2]}]), json!("1-2")),
        (r#"(.a, .b)? // "none""#, json!({"b": 1}), json!(1)),
        ("first(range(10) | select(. > 3))", json!(null), json!(4)),
        (
            "[limit(2; .[])] | {(.[0]): .[1]} | with_entries(.value |= tostring)",
            json!(["k", 1]),
            json!({"k": "1"}),
        ),
        ("try error(\"a\") catch .", json!(null), json!("a")),
        ("[paths | join(\".\")] | length", json!({"a": {"b": 1}}), json!(2)),
        (
            "label $out | foreach .[] as $i (0; . + $i; if . > 2 then ., break $out else empty end)",
            json!([1, 2, 3]),
            json!(3),
        ),
        ("[.[] | tonumber] | max", json!(["3", "12"]), json!(12)),
        ("walk(if type == \"string\" then ascii_upcase else . end)", json!([["a"]]), json!([["A"]])),
    ] {
        assert_eq!(x(code, body), expected, "{code}");
    }
}

/// Each would run for years, or fill the memory; each ends soon in a named rejection.
#[test]
fn a_program_that_would_not_end_is_rejected_by_name() {
    let mut others = Vec::new();
    for code in [
        "[range(1e18)] | length",
        "[range(0; 1; 0)]",
        "last(range(1e18))",
        "first(range(1e18) | select(. < 0))",
        "[limit(1e18; range(1e18) | empty)]",
        "any(range(1e18); false)",
        "all(range(1e18); true)",
        "reduce range(1e18) as $i (0; . + 1)",
        "foreach range(1e18) as $i (0; .; empty)",
        "reduce range(200) as $i (\"a\"; . + .)",
        "reduce range(200) as $i ([1]; . + .)",
        "reduce range(200) as $i ([1]; [., .])",
        "reduce range(200) as $i ({}; {a: ., b: .})",
        "reduce range(200) as $i (\"a\"; \"\\(.)\\(.)\")",
        "reduce range(200) as $i (\"a\"; [., .] | tojson)",
        "reduce range(200) as $i ({a: \"x\"}; .a += .a)",
        "reduce range(400) as $i (0; [.])",
        "reduce range(100000) as $i (0; {a: .})",
        "[range(1e9) as $a | range(1e9) as $b | select($a > $b)]",
        "[(range(1e9) | . as $x | try error catch empty)]",
        "try (range(1e18) | empty) catch {id: \"a\"}",
        "(range(1e18) | empty) // {id: \"a\"}",
        "[range(1e18)?]",
        "[paths(range(1e18) | empty)]",
        "def a: empty, empty; def b: a, a | a; def c: b, b, b, b; def d: c, c, c, c, c, c, c, c; def e: d, d, d, d, d, d, d, d;
         def f: e, e, e, e, e, e, e, e; def g: f, f, f, f, f, f, f, f; def h: g, g, g, g, g, g, g, g; h, h, h, h, h, h, h, h",
        "[(0,1,2,3,4,5,6,7,8,9) + (0,1,2,3,4,5,6,7,8,9) * (0,1,2,3,4,5,6,7,8,9) + (0,1,2,3,4,5,6,7,8,9)
          + (0,1,2,3,4,5,6,7,8,9) + (0,1,2,3,4,5,6,7,8,9) + (0,1,2,3,4,5,6,7,8,9) + (0,1,2,3,4,5,6,7,8,9)]",
        "[range(1e6)] as $big | [$big[] | $big | length]",
        "[range(10000) | []] | .[] += [range(10000)]",
        "(.. |= [., .]) | reduce range(99) as $i (.; .. |= [., .])",
        "[range(10000) | tostring] | join(\"x\") | [range(10000) as $i | .[$i:]]",
        "[range(10000) | \"x\"] | add | . as $long | [range(10000) | $long | test(\"(a|x)*y\")]",
        "sort_by(range(1e18))",
        "group_by(range(1e18))",
        "[.[] | select(any(range(1e18); false))]",
        "{id: \"a\", x: last(range(1e18))}",
        "{(range(1e18) | tostring): 1}",
        "\"\\(range(1e18))\" | empty",
        ".[range(1e18)] | empty",
        "(range(1e18) | empty) and true",
        "if (range(1e18) | false) then 1 else empty end",
        ".[0] |= last(range(1e18))",
        "label $out | range(1e18) | empty",
    ] {
        let began = Instant::now();
        let found = run(code, json!([1, 2]));
        let took = began.elapsed();
        if !matches!(found, Err(Failure::Limit(_))) || took > Duration::from_secs(5) {
            others.push(format!("{code}: {found:?} after {took:?}"));
        }
    }
    assert!(others.is_empty(), "{}", others.join("\n"));
}

/// What is too large for one step is an error of that step.
#[test]
fn a_text_is_not_repeated_and_a_number_does_not_grow() {
    for code in ["\"a\" * 1000000000", "reduce range(200) as $i (3; . * .)", "\"a\" | . *= 9"] {
        assert!(matches!(run(code, json!(1)), Err(Failure::Error(_))), "{code}");
    }
}

#[test]
fn a_record_tells_so_many_events_and_no_more() {
    let code = "range(.) | {id: tostring}";
    assert!(matches!(run(code, json!(MAX_EVENTS)), Ok(Told::Events(events)) if events.len() == MAX_EVENTS));
    assert!(matches!(run(code, json!(MAX_EVENTS + 1)), Err(Failure::Limit(_))));
}

/// A body of 2 MiB is looked through several times within its meter.
#[test]
fn a_large_body_has_steps_enough_for_a_plain_program() {
    let items: Vec<Value> =
        (0..20_000).map(|n| json!({"id": format!("item-{n:060}"), "state": "ok"})).collect();
    let body = json!({"items": items, "id": "a"});
    let code = r#"select(.items | length > 3) | {id, n: ([.items[] | select(.state == "ok")] | length)}"#;
    assert_eq!(run(code, body), Ok(Told::Events(vec![json!({"id": "a", "n": 20_000})])));
}

#[test]
fn a_mistake_names_its_line_and_column_and_what_is_expected() {
    let mut others = Vec::new();
    for (code, line, column, word) in [
        ("{\n  id: .id,\n  x: \n}", 4, 1, "term"),
        ("if .a then 1", 1, 13, "end"),
        (".a |\n  foo(1)", 2, 3, "`foo` with 1 arguments"),
        (".a | $x", 1, 6, "`$x`"),
        ("\"abc", 1, 5, "quote"),
        (".a & .b", 1, 4, "token"),
        ("# a comment\n\n  now", 3, 3, "sees the record and nothing else"),
        ("$ENV.HOME", 1, 1, "sees the record"),
        ("[.[] | repeat(.)]", 1, 8, "must end"),
        ("def f: f; f", 1, 8, "calls itself"),
        ("def f(g): def h: f(g); h; f(.)", 1, 18, "calls itself"),
        (". | input", 1, 5, "sees the record"),
        ("ä | äö", 1, 1, "token"),
        ("import \"a\" as a; .", 1, 8, "nothing is expected"),
        ("", 1, 1, "term"),
        ("@main", 1, 1, "calls itself"),
    ] {
        let found = mistake(code);
        if (found.line, found.column) != (line, column) || !found.what.contains(word) {
            others.push(format!("{code:?}: {found}"));
        }
    }
    assert!(others.is_empty(), "{}", others.join("\n"));
    assert!(mistake(&"(".repeat(10_000)).what.contains("brackets"));
    assert!(mistake(&(".|".repeat(400) + ".")).what.contains("deep by here"));
    assert!(mistake(&".|".repeat(10_000)).what.contains("operators"));
    assert!(mistake(&" ".repeat(70_000)).what.contains("bytes"));
}

/// On a thread with the stack that threads have.
#[test]
fn the_longest_programs_run_on_an_ordinary_stack() {
    for (part, end) in [(".|", "."), (".//", "."), ("-", "1"), (".+", "."), (".,", "."), (". as $x|", ".")] {
        let programs = (1..990 / part.len().min(2)).rev().map(|n| part.repeat(n) + end);
        let program = programs.filter_map(|code| Program::compile(&code).ok()).next().unwrap();
        let delivery = Delivery { source: "own", headers: &[], body: b"1", received_at: "", time_zone: None };
        let _ = program.run(&delivery);
    }
    let nested = format!("{}.{}", "[".repeat(90), "]".repeat(90));
    assert!(matches!(run(&nested, json!(1)), Err(Failure::Result(_))));
    let doors: String = (1..30).map(|n| format!("def f{n}: f{} | [.] | .[0]; ", n - 1)).collect();
    assert_eq!(
        run(&format!("def f0: .; {doors} f29"), json!({"a": 1})),
        Ok(Told::Events(vec![json!({"a": 1})]))
    );
}

#[test]
fn the_same_record_always_gives_the_same() {
    let code = r#"[.[] | {id: tostring, all: ($headers + {a: $received_at}) | keys}] | unique_by(.id)"#;
    let first = run(code, json!([3, 1, 2, 1]));
    for _ in 0..3 {
        assert_eq!(run(code, json!([3, 1, 2, 1])), first);
    }
}

#[test]
fn a_program_is_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Program>();
}

#[test]
fn every_preset_compiles_and_is_found_by_its_name() {
    for preset in streamgauge_mapping::PRESETS {
        Program::compile(preset.code).unwrap_or_else(|mistake| panic!("{}: {mistake}", preset.name));
        assert_eq!(streamgauge_mapping::preset(preset.name).unwrap().code, preset.code);
    }
    assert!(streamgauge_mapping::preset("none").is_none());
}
