//! The ClickHouse engine in process, behind ClickHouse's HTTP interface.
