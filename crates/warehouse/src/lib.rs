//! ClickHouse: migrations, loader and typed rows.
