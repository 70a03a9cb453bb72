//! The official `clickhouse` crate.

use std::collections::BTreeMap;

use clickhouse::{Client, Compression, Row};
use serde::{Deserialize, Serialize};
use streamgauge_embedded_clickhouse::QueryOptions;

use crate::{Fixture, fixture};

const COLUMNS: &str = "id UInt64, s String, lc LowCardinality(String), ns Nullable(String), nf Nullable(Float64), \
    dt64 DateTime64(6, 'UTC'), dt DateTime, d Date, u8 UInt8, u16 UInt16, u32 UInt32, i64 Int64, f64 Float64, b Bool, \
    strings Array(String), pairs Array(Tuple(Int64, Int64)), map Map(String, String), \
    e Enum8('a' = 1, 'b' = 2), uuid UUID, fixed FixedString(4)";

#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
struct Everything {
    id: u64,
    s: String,
    lc: String,
    ns: Option<String>,
    nf: Option<f64>,
    dt64: i64,
    dt: u32,
    d: u16,
    u8: u8,
    u16: u16,
    u32: u32,
    i64: i64,
    f64: f64,
    b: bool,
    strings: Vec<String>,
    pairs: Vec<(i64, i64)>,
    map: BTreeMap<String, String>,
    e: i8,
    uuid: (u64, u64),
    fixed: [u8; 4],
}

fn row(id: u64) -> Everything {
    Everything {
        id,
        s: format!("text \0 \t \\ ' \n ü {id}"),
        lc: format!("kind {}", id % 3),
        ns: id.is_multiple_of(2).then(|| format!("some {id}")),
        nf: id.is_multiple_of(3).then_some(id as f64 / 7.0),
        dt64: 1_700_000_000_123_456 + id as i64,
        dt: 1_700_000_000 + id as u32,
        d: 19_000 + (id % 1000) as u16,
        u8: (id % 256) as u8,
        u16: (id % 65_536) as u16,
        u32: u32::MAX - id as u32,
        i64: i64::MIN + id as i64,
        f64: -(id as f64) / 3.0,
        b: id % 2 == 1,
        strings: (0..id % 4).map(|n| n.to_string()).collect(),
        pairs: (0..id as i64 % 3).map(|n| (n, -n)).collect(),
        map: (0..id % 3).map(|n| (format!("k{n}"), format!("v{id}"))).collect(),
        e: 1 + (id % 2) as i8,
        uuid: (id, u64::MAX - id),
        fixed: *b"a\0b\xff",
    }
}

fn clients(fixture: &Fixture) -> Vec<(&'static str, Client)> {
    let base = Client::default().with_url(format!("http://{}", fixture.address));
    let plain = base.clone().with_compression(Compression::None);
    let lz4 = base.with_compression(Compression::Lz4);
    vec![
        ("lz4, schema checked", lz4.clone()),
        ("plain, schema checked", plain.clone()),
        ("lz4, plain RowBinary", lz4.with_validation(false)),
        ("plain, plain RowBinary", plain.with_validation(false)),
    ]
}

async fn create(client: &Client, table: &str) {
    let sql = format!("CREATE OR REPLACE TABLE {table} ({COLUMNS}) ENGINE = MergeTree ORDER BY id");
    client.query(&sql).execute().await.unwrap();
}

#[test]
fn every_column_type_comes_back_as_it_was_sent() {
    let Some(f) = fixture() else { return };
    for (name, client) in clients(f) {
        f.runtime.block_on(async {
            create(&client, "everything").await;
            let sent: Vec<Everything> = (0..500).map(row).collect();
            let mut insert = client.insert::<Everything>("everything").await.unwrap();
            for row in &sent {
                insert.write(row).await.unwrap();
            }
            insert.end().await.unwrap();
            let read: Vec<Everything> =
                client.query("SELECT ?fields FROM everything ORDER BY id").fetch_all().await.unwrap();
            assert_eq!(read, sent, "{name}");
        });
        // The engine's own view of two rows, in its text form.
        let sql = "SELECT * EXCEPT (s, fixed), s = concat('text \\0 \\t \\\\ \\' \\n ü ', toString(id)), hex(fixed) \
                   FROM everything WHERE id IN (1, 6) ORDER BY id";
        let text = f.engine.query(sql, "TSV", &QueryOptions::default()).unwrap();
        let expected = "1\tkind 1\t\\N\t\\N\t2023-11-14 22:13:20.123457\t2023-11-14 22:13:21\t2022-01-09\t1\t1\t\
             4294967294\t-9223372036854775807\t-0.3333333333333333\ttrue\t['0']\t[(0,0)]\t{'k0':'v1'}\tb\t\
             00000000-0000-0001-ffff-fffffffffffe\t1\t610062FF\n\
             6\tkind 0\tsome 6\t0.8571428571428571\t2023-11-14 22:13:20.123462\t2023-11-14 22:13:26\t2022-01-14\t6\t6\t\
             4294967289\t-9223372036854775802\t-2\tfalse\t['0','1']\t[]\t{}\ta\t\
             00000000-0000-0006-ffff-fffffffffff9\t1\t610062FF\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected, "{name}");
    }
}

#[test]
fn a_hundred_thousand_rows_are_inserted_and_read() {
    let Some(f) = fixture() else { return };
    for (name, client) in clients(f) {
        f.runtime.block_on(async {
            create(&client, "many").await;
            let mut insert = client.insert::<Everything>("many").await.unwrap();
            for id in 0..100_000 {
                insert.write(&row(id)).await.unwrap();
            }
            insert.end().await.unwrap();
            let mut cursor =
                client.query("SELECT ?fields FROM many ORDER BY id").fetch::<Everything>().unwrap();
            let mut count = 0;
            while let Some(read) = cursor.next().await.unwrap() {
                assert_eq!(read, row(count), "{name}");
                count += 1;
            }
            assert_eq!(count, 100_000, "{name}");
        });
    }
}

#[test]
fn the_crate_sends_parameters_and_settings_and_sees_errors() {
    let Some(f) = fixture() else { return };
    for (name, client) in clients(f) {
        f.runtime.block_on(async {
            let query =
                client.query("SELECT {s:String}, {n:UInt64}").param("s", "it's\ta 'test'").param("n", 42u64);
            let answer: (String, u64) = query.fetch_one().await.unwrap();
            assert_eq!(answer, ("it's\ta 'test'".to_owned(), 42), "{name}");
            let threads =
                client.query("SELECT toUInt64(getSetting('max_threads'))").with_setting("max_threads", "3");
            assert_eq!(threads.fetch_one::<u64>().await.unwrap(), 3, "{name}");
            let bound: String = client.query("SELECT ?").bind("it's").fetch_one().await.unwrap();
            assert_eq!(bound, "it's", "{name}");
            let error = client.query("SELECT x FROM nope").fetch_all::<u8>().await.unwrap_err().to_string();
            assert!(
                error.contains("Code: 60. DB::Exception: ") && error.contains("(UNKNOWN_TABLE)"),
                "{name}: {error}"
            );
            let late = client.query("SELECT throwIf(number > 2000000) FROM numbers(3000000)");
            let error = late.fetch_all::<u8>().await.unwrap_err().to_string();
            assert!(error.contains("Code: 395."), "{name}: {error}");
        });
    }
}

#[test]
fn an_insert_that_is_dropped_applies_nothing() {
    let Some(f) = fixture() else { return };
    f.runtime.block_on(async {
        let (_, client) = clients(f).remove(0);
        create(&client, "dropped").await;
        let mut insert = client.insert::<Everything>("dropped").await.unwrap();
        for id in 0..5_000 {
            insert.write(&row(id)).await.unwrap();
        }
        drop(insert);
        let count: u64 = client.query("SELECT count() FROM dropped").fetch_one().await.unwrap();
        assert_eq!(count, 0);
    });
}
