//! Raw HTTP, as `curl` speaks it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use streamgauge_embedded_clickhouse::QueryOptions;

use crate::client::{encode, get, post, read, send};
use crate::{Fixture, fixture};

fn run(fixture: &Fixture, sql: &str) -> String {
    let reply = post(fixture.address, "", "", sql.as_bytes());
    assert_eq!(reply.status, 200, "{sql:.200}: {}", reply.text());
    reply.text()
}

#[test]
fn a_ping_is_answered() {
    let Some(f) = fixture() else { return };
    for path in ["/ping", "/", "/replicas_status"] {
        let reply = get(f.address, path);
        assert_eq!((reply.status, reply.text().as_str()), (200, "Ok.\n"), "{path}");
    }
    assert_eq!(get(f.address, "/nothing").status, 404);
    assert_eq!(get(f.address, "/streamgauge/hello").text(), "hello from the product");
}

#[test]
fn a_query_may_be_in_the_url_in_the_body_or_in_both() {
    let Some(f) = fixture() else { return };
    let url = get(f.address, &format!("/?query={}", encode("SELECT 1 + 1")));
    assert_eq!(url.text(), "2\n");
    assert_eq!(post(f.address, "", "", b"SELECT 1 + 2").text(), "3\n");
    assert_eq!(post(f.address, "SELECT 1", "", b"+ 3").text(), "4\n");
    assert_eq!(url.header("content-type"), "text/tab-separated-values; charset=UTF-8");
    assert_eq!(url.header("x-clickhouse-format"), "TabSeparated");
    assert_eq!(url.header("x-clickhouse-timezone"), f.engine.timezone());
    assert!(!url.header("x-clickhouse-query-id").is_empty());
    assert!(!url.header("x-clickhouse-server-display-name").is_empty());
    assert!(url.header("x-clickhouse-summary").starts_with("{\"read_rows\":\"1\""));
}

#[test]
fn a_format_comes_from_the_statement_or_the_default() {
    let Some(f) = fixture() else { return };
    let reply = post(f.address, "SELECT 1 AS x", "&default_format=JSONEachRow", b"");
    assert_eq!((reply.text().as_str(), reply.header("x-clickhouse-format")), ("{\"x\":1}\n", "JSONEachRow"));
    let reply = post(f.address, "SELECT 1 AS x FORMAT CSVWithNames", "&default_format=JSONEachRow", b"");
    assert_eq!((reply.text().as_str(), reply.header("x-clickhouse-format")), ("\"x\"\n1\n", "CSVWithNames"));
    let reply = post(f.address, "SELECT number FROM numbers(300000) FORMAT JSON", "", b"");
    assert_eq!(reply.header("content-type"), "application/json; charset=UTF-8");
    let json: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(json["data"].as_array().unwrap().len(), 300_000, "one document, however large");
    assert_eq!(post(f.address, "SELECT 1 WHERE 0", "", b"").text(), "");
    assert_eq!(post(f.address, "SELECT 1 FORMAT Null", "", b"").text(), "");
    assert_eq!(post(f.address, "EXISTS TABLE nope FORMAT JSONEachRow", "", b"").text(), "{\"result\":0}\n");
}

#[test]
fn the_database_and_settings_hold_for_one_request() {
    let Some(f) = fixture() else { return };
    run(f, "CREATE DATABASE IF NOT EXISTS scoped");
    run(f, "CREATE OR REPLACE TABLE scoped.here (x UInt8) ENGINE = Memory");
    let sql = "SELECT currentDatabase(), getSetting('max_block_size') FROM here FORMAT CSV";
    assert_eq!(post(f.address, "INSERT INTO here VALUES (1)", "&database=scoped", b"").status, 200);
    let reply = post(f.address, sql, "&database=scoped&max_block_size=77", b"");
    assert_eq!(reply.text(), "\"scoped\",77\n");
    assert_eq!(post(f.address, sql, "", b"").status, 404);
    run(f, "USE scoped");
    run(f, "SET max_block_size = 5");
    assert_eq!(run(f, "SELECT currentDatabase(), getSetting('max_block_size') = 5"), "default\t0\n");
    let header =
        send(f.address, "POST", "/", &[("X-ClickHouse-Database", "scoped")], b"SELECT currentDatabase()");
    assert_eq!(header.text(), "scoped\n");
    assert_eq!(post(f.address, "SELECT 1", "&database=no%60ne", b"").code(), "81");
    assert_eq!(post(f.address, "SELECT 1", "&no%20setting=1", b"").code(), "115");
    let user = post(f.address, "SELECT 1", "&user=u&password=p&session_id=s&wait_end_of_query=1", b"");
    assert_eq!(user.text(), "1\n");
}

#[test]
fn parameters_are_values_and_never_text_of_the_statement() {
    let Some(f) = fixture() else { return };
    let sql = "SELECT {s:String} AS s, {a:Array(String)} AS a, {n:UInt8} AS n FORMAT JSONEachRow";
    let parameters =
        format!("&param_s={}&param_a={}&param_n=7", encode("x' OR 1\\t--"), encode("['p','q\\'r']"));
    let expected = "{\"s\":\"x' OR 1\\t--\",\"a\":[\"p\",\"q'r\"],\"n\":7}\n";
    assert_eq!(post(f.address, sql, &parameters, b"").text(), expected);
    let form = "--b\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT {s:String}\r\n\
                --b\r\nContent-Disposition: form-data; name=\"param_s\"\r\n\r\nform\r\n--b--\r\n";
    let headers = [("Content-Type", "multipart/form-data; boundary=b")];
    assert_eq!(send(f.address, "POST", "/", &headers, form.as_bytes()).text(), "form\n");
    assert_eq!(post(f.address, "SELECT {missing:String}", "", b"").code(), "456");
}

#[test]
fn an_error_has_the_code_the_status_and_the_text_of_a_server() {
    let Some(f) = fixture() else { return };
    run(f, "CREATE OR REPLACE TABLE wrong (x UInt8) ENGINE = Memory");
    let cases = [
        ("SELECT * FROM nope", 404, 60, "UNKNOWN_TABLE"),
        ("SELECT * FROM nope.t", 404, 81, "UNKNOWN_DATABASE"),
        ("SELECT nope", 404, 47, "UNKNOWN_IDENTIFIER"),
        ("SELECT nope()", 404, 46, "UNKNOWN_FUNCTION"),
        ("SELECT 1 FORMAT Nope", 404, 73, "UNKNOWN_FORMAT"),
        ("SELECT 1 SETTINGS nope = 1", 404, 115, "UNKNOWN_SETTING"),
        ("SELEC 1", 400, 62, "SYNTAX_ERROR"),
        ("SELECT 1; SELECT 2", 400, 62, "SYNTAX_ERROR"),
        ("SELECT toUInt8('x')", 400, 6, "CANNOT_PARSE_TEXT"),
        (
            "SELECT throwIf(number = 200000) FROM numbers(300000)",
            500,
            395,
            "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO",
        ),
        ("SELECT sleep(2) SETTINGS max_execution_time = 1", 408, 159, "TIMEOUT_EXCEEDED"),
        ("SELECT 1 INTO OUTFILE '/tmp/never'", 500, 358, "INTO_OUTFILE_NOT_ALLOWED"),
        ("INSERT INTO nope FORMAT CSV\n1", 404, 60, "UNKNOWN_TABLE"),
        ("INSERT INTO wrong VALUES (1); SELECT 1", 400, 62, "SYNTAX_ERROR"),
        ("INSERT INTO wrong FORMAT CSV\nq", 400, 117, "INCORRECT_DATA"),
    ];
    for (sql, status, code, name) in cases {
        let reply = post(f.address, "", "", sql.as_bytes());
        let text = reply.text();
        assert_eq!((reply.status, reply.code()), (status, &*code.to_string()), "{text}");
        assert!(text.starts_with(&format!("Code: {code}. DB::Exception: ")), "{text}");
        assert!(text.ends_with(&format!("({name}) (version {})\n", f.engine.version())), "{text}");
        assert!(!text.contains("spool"), "{text}");
    }
}

#[test]
fn get_reads_only() {
    let Some(f) = fixture() else { return };
    let reply =
        get(f.address, &format!("/?query={}", encode("CREATE TABLE never (x UInt8) ENGINE = Memory")));
    assert_eq!((reply.status, reply.code()), (500, "164"));
    assert_eq!(get(f.address, &format!("/?max_threads=1&query={}", encode("SELECT 1"))).text(), "1\n");
    assert_eq!(
        post(f.address, "CREATE TABLE never (x UInt8) ENGINE = Memory", "&readonly=1", b"").code(),
        "164"
    );
}

#[test]
fn another_site_in_a_browser_is_refused() {
    let Some(f) = fixture() else { return };
    for headers in [("Host", "evil.example"), ("Origin", "https://evil.example"), ("Origin", "null")] {
        assert_eq!(send(f.address, "POST", "/", &[headers], b"SELECT 1").status, 403, "{headers:?}");
    }
    for headers in [("Host", "127.0.0.1:8123"), ("Host", "[::1]:8123"), ("Origin", "http://localhost:3000")] {
        assert_eq!(send(f.address, "POST", "/", &[headers], b"SELECT 1").status, 200, "{headers:?}");
    }
}

#[test]
fn data_is_inserted_in_every_format() {
    let Some(f) = fixture() else { return };
    run(f, "CREATE OR REPLACE TABLE formats (a UInt64, b String) ENGINE = MergeTree ORDER BY a");
    let rows = "SELECT number AS a, concat('a\\0\\n', toString(number)) AS b FROM numbers(1000)";
    for format in [
        "RowBinary",
        "RowBinaryWithNamesAndTypes",
        "Native",
        "JSONEachRow",
        "CSV",
        "TabSeparated",
        "Parquet",
        "Values",
    ] {
        run(f, "TRUNCATE TABLE formats");
        let data = post(f.address, &format!("{rows} FORMAT {format}"), "", b"").body;
        let reply = post(f.address, &format!("INSERT INTO formats (a, b) FORMAT {format}"), "", &data);
        assert_eq!(reply.status, 200, "{format}: {}", reply.text());
        assert!(reply.header("x-clickhouse-summary").contains("\"written_rows\":\"1000\""), "{format}");
        let same = format!("SELECT count() FROM formats WHERE (a, b) IN ({rows})");
        assert_eq!(run(f, &same), "1000\n", "{format}");
    }
}

#[test]
fn the_data_of_an_insert_may_follow_the_statement_in_the_body() {
    let Some(f) = fixture() else { return };
    run(f, "CREATE OR REPLACE TABLE follows (a UInt64, b String) ENGINE = MergeTree ORDER BY a");
    let json = "INSERT INTO follows SETTINGS max_threads = 1 FORMAT JSONEachRow\n{\"a\":1,\"b\":\"x\"}\n{\"a\":2,\"b\":\"y\"}";
    run(f, json);
    run(f, "INSERT INTO follows VALUES (3, 'v;'), (4, concat('a', 'b'));");
    let long: String = (5..60_005).map(|n| format!("({n},'value'),")).collect();
    run(f, &format!("INSERT INTO follows VALUES {}", long.trim_end_matches(',')));
    let sql = "SELECT count(), sum(a), groupArrayIf(b, a < 5) FROM (SELECT * FROM follows ORDER BY a)";
    assert_eq!(run(f, sql), "60004\t1800270010\t['x','y','v;','ab']\n");
    run(f, "INSERT INTO follows SELECT 9, 'q'");
    run(f, "WITH 9 AS x INSERT INTO follows SELECT x, 'q'");
    assert_eq!(run(f, "SELECT count() FROM follows WHERE b = 'q'"), "2\n");
    let parameter = post(f.address, "INSERT INTO follows VALUES ({x:UInt64}, 'p')", "&param_x=77", b"");
    assert_eq!(parameter.status, 200, "{}", parameter.text());
    assert_eq!(run(f, "SELECT a FROM follows WHERE b = 'p'"), "77\n");
}

#[test]
fn an_insert_whose_client_goes_away_applies_nothing() {
    let Some(f) = fixture() else { return };
    run(f, "CREATE OR REPLACE TABLE cut (a UInt64) ENGINE = MergeTree ORDER BY a");
    let path = format!("/?query={}", encode("INSERT INTO cut FORMAT RowBinary"));
    for head in ["Content-Length: 80000", "Transfer-Encoding: chunked"] {
        let mut stream = TcpStream::connect(f.address).unwrap();
        write!(stream, "POST {path} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n").unwrap();
        if head.starts_with('T') {
            write!(stream, "9C40\r\n").unwrap();
        }
        stream.write_all(&[1; 8000]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(run(f, "SELECT count() FROM cut"), "0\n");
    let bad = post(f.address, "INSERT INTO cut FORMAT RowBinary", "", &[1; 8001]);
    assert_eq!(bad.code(), "33", "{}", bad.text());
    assert_eq!(run(f, "SELECT count() FROM cut"), "0\n");
    let spool = std::fs::read_dir(f.engine.data_dir().join("spool")).unwrap();
    let left = spool.flatten().filter(|e| e.metadata().is_ok_and(|m| m.len() / 10 == 800)).count();
    assert_eq!(left, 0, "no file is left behind");
}

#[test]
fn an_open_insert_does_not_hold_the_engine() {
    let Some(f) = fixture() else { return };
    run(f, "CREATE OR REPLACE TABLE slow (a UInt64) ENGINE = MergeTree ORDER BY a");
    let path = format!("/?query={}", encode("INSERT INTO slow FORMAT RowBinary"));
    let mut stream = TcpStream::connect(f.address).unwrap();
    let head = "Host: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked";
    write!(stream, "POST {path} HTTP/1.1\r\n{head}\r\n\r\n8\r\n").unwrap();
    stream.write_all(&[0; 8]).unwrap();
    assert_eq!(run(f, "SELECT 1"), "1\n", "a query is answered while the insert is open");
    stream.write_all(b"\r\n8\r\n\x01\0\0\0\0\0\0\0\r\n0\r\n\r\n").unwrap();
    assert_eq!(read(stream).status, 200);
    assert_eq!(run(f, "SELECT groupArray(a) FROM (SELECT a FROM slow ORDER BY a)"), "[0,1]\n");
}

#[test]
fn answers_and_bodies_are_compressed_when_that_is_asked_for() {
    let Some(f) = fixture() else { return };
    let sql = "SELECT number FROM numbers(200000)";
    let plain = post(f.address, sql, "", b"").body;
    let native = post(f.address, sql, "&compress=1", b"").body;
    assert!(native.len() < plain.len() && native[16] == 0x82);
    // What the server compresses, it takes back.
    run(f, "CREATE OR REPLACE TABLE packed (a UInt64) ENGINE = MergeTree ORDER BY a");
    let insert = "INSERT INTO packed FORMAT TSV";
    let reply = post(f.address, insert, "&decompress=1", &native);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let mut damaged = native.clone();
    damaged[100] ^= 1;
    assert_eq!(post(f.address, insert, "&decompress=1", &damaged).code(), "40");
    assert_eq!(post(f.address, insert, "&decompress=1", &native[..native.len() - 1]).code(), "33");
    assert_eq!(run(f, "SELECT count(), sum(a) FROM packed"), "200000\t19999900000\n");
    for (encoding, magic) in
        [("gzip", &[0x1f, 0x8b][..]), ("lz4", &[4, 0x22, 0x4d, 0x18]), ("zstd", &[0x28, 0xb5])]
    {
        let reply = send(f.address, "POST", "/", &[("Accept-Encoding", encoding)], sql.as_bytes());
        assert_eq!(reply.header("content-encoding"), encoding);
        assert!(reply.body.starts_with(magic) && reply.body.len() < plain.len(), "{encoding}");
        let path = format!("/?query={}", encode(insert));
        let reply = send(f.address, "POST", &path, &[("Content-Encoding", encoding)], &reply.body);
        assert_eq!(reply.status, 200, "{encoding}: {}", reply.text());
    }
    assert_eq!(run(f, "SELECT count(), sum(a) FROM packed"), "800000\t79999600000\n");
    // Without a row there is nothing for LZ4 to say, not even a beginning.
    let none = b"SELECT number FROM numbers(0)";
    let reply = send(f.address, "POST", "/", &[("Accept-Encoding", "lz4")], none);
    assert_eq!((reply.status, reply.header("content-encoding"), reply.body.len()), (200, "", 0));
}

#[test]
fn the_interface_and_the_engine_itself_give_the_same() {
    let Some(f) = fixture() else { return };
    let sql = "SELECT number, toString(number), [number] FROM numbers(100000) ORDER BY number";
    for format in ["RowBinaryWithNamesAndTypes", "JSONEachRow", "TSVWithNames"] {
        let direct = f.engine.query(sql, format, &QueryOptions::default()).unwrap();
        let http = post(f.address, &format!("{sql} FORMAT {format}"), "", b"").body;
        assert!(direct == http, "{format}");
    }
}

#[test]
fn many_clients_at_once_get_their_own_answers() {
    let Some(f) = fixture() else { return };
    let client = |client: u32| {
        for round in 0..20 {
            let (number, threads) = (client * 1000 + round, 1 + client % 3);
            let reply = post(f.address, &format!("SELECT {number}"), &format!("&max_threads={threads}"), b"");
            assert_eq!(reply.text(), format!("{number}\n"));
        }
    };
    let clients: Vec<_> = (0..16).map(|number| std::thread::spawn(move || client(number))).collect();
    for client in clients {
        client.join().unwrap();
    }
}

#[test]
fn native_answers_are_in_the_revision_that_the_client_names() {
    let Some(f) = fixture() else { return };
    let sql = "SELECT toLowCardinality(toNullable(toString(number))) AS a, [number] AS b, map('k', (1, 'v')) AS c, \
               arrayMap(x -> toLowCardinality('x'), range(number % 2)) AS d FROM numbers(100000) FORMAT Native";
    let old = post(f.address, sql, "", b"").body;
    for revision in [1, 54460] {
        let new = post(f.address, sql, &format!("&client_protocol_version={revision}"), b"");
        assert_eq!(new.status, 200, "{}", new.text());
        assert!(new.body.starts_with(b"\x01\0\x02\xff\xff\xff\xff\0\x04"), "{revision}");
        assert!(new.body.len() > old.len());
    }
    let describe =
        post(f.address, "DESCRIBE (SELECT 1 AS x) FORMAT Native", "&client_protocol_version=54460", b"");
    assert!(describe.body.starts_with(b"\x01\0\x02\xff\xff\xff\xff\0\x07\x01\x04name\x06String\0\x01x"));
    let state = post(f.address, "SELECT uniqState(1) FORMAT Native", "&client_protocol_version=54460", b"");
    assert_eq!((state.status, state.code()), (501, "48"));
}

#[test]
fn a_drop_with_sync_does_not_hang_the_engine() {
    let Some(f) = fixture() else { return };
    run(f, "CREATE DATABASE gone");
    run(f, "CREATE TABLE gone.t (x UInt8) ENGINE = MergeTree ORDER BY x");
    run(f, "DROP TABLE gone.t SYNC");
    run(f, "CREATE TABLE gone.t (x UInt8) ENGINE = MergeTree ORDER BY x");
    let setting = "&database_atomic_wait_for_drop_and_detach_synchronously=1";
    assert_eq!(post(f.address, "DROP DATABASE gone NO DELAY", setting, b"").status, 200);
    assert_eq!(run(f, "EXISTS DATABASE gone"), "0\n");
}
