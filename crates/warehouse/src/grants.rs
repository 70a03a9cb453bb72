//! Who may do what, with least rights, as SQL for an administrator. It is printed, never run.

use crate::schema::{Kind, objects};
use crate::target::{Database, Target};
use std::fmt::Write;

/// The statements for three users: `user` loads, `user_reader` reads the views, `user_migrator` makes the tables.
/// The users can do nothing until the administrator says how each is proved. `user` is a checked name.
pub fn grants(user: &Database, database: &Database, target: &Target) -> String {
    let on_cluster = match target {
        Target::Cluster(name) => format!(" ON CLUSTER '{}'", name.as_str()),
        Target::Embedded | Target::Server => String::new(),
    };
    let objects = objects(database, target);
    let mut sql = String::new();
    let mut say = |text: &str| _ = writeln!(sql, "{text}");
    say(
        "-- Users come from nowhere (HOST NONE) until each gets a password or a certificate of your choice, as in:",
    );
    say(&format!("--   ALTER USER {user}{on_cluster} IDENTIFIED WITH sha256_password BY '…' HOST ANY;"));
    let user_of = |suffix: &str| format!("{user}{suffix}");
    let grant =
        |rights: &str, on: &str, to: &str| format!("GRANT{on_cluster} {rights} ON {database}.{on} TO {to};");

    let loader = user_of("");
    say("");
    say(
        "-- Loads: `run` with the stage load, and `check`. It stores rows and reads them, and makes nothing.",
    );
    say(&format!("CREATE USER IF NOT EXISTS {loader}{on_cluster} HOST NONE;"));
    for object in objects.iter().filter(|object| object.is_loaded()) {
        say(&grant("SELECT, INSERT", &object.name, &loader));
    }
    for object in objects.iter().filter(|object| !object.is_loaded() && object.kind != Kind::View) {
        say(&grant("SELECT", &object.name, &loader));
    }
    say("-- For `check`: tables and columns as they are, and the room on the disks.");
    say(&grant("SHOW TABLES, SHOW COLUMNS", "*", &loader));
    say(&format!("GRANT{on_cluster} SELECT ON system.disks TO {loader};"));

    let reader = user_of("_reader");
    say("");
    say(
        "-- Reads: analysts and dashboards. A view reads with the rights of who asks, so what is below it is named too.",
    );
    say(&format!("CREATE USER IF NOT EXISTS {reader}{on_cluster} HOST NONE SETTINGS readonly = 2;"));
    for object in objects.iter().filter(|object| object.kind == Kind::View) {
        say(&grant("SELECT", &object.name, &reader));
    }
    for object in objects.iter().filter(|object| object.is_loaded()) {
        say(&grant("SELECT", &object.name, &reader));
    }
    say("-- While a generation is promoted, the views ask which one is shown.");
    for object in objects.iter().filter(|object| object.name.starts_with("promotions")) {
        say(&grant("SELECT", &object.name, &reader));
    }

    let migrator = user_of("_migrator");
    say("");
    say("-- Makes the tables: `migrate`, once and after an upgrade. Nothing else needs these rights.");
    say(&format!("CREATE USER IF NOT EXISTS {migrator}{on_cluster} HOST NONE;"));
    say(&grant(
        "CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP VIEW, ALTER TABLE, ALTER VIEW, SHOW, SELECT, INSERT",
        "*",
        &migrator,
    ));
    say(&format!("GRANT{on_cluster} TABLE ENGINE ON ReplacingMergeTree TO {migrator};"));
    if matches!(target, Target::Cluster(_)) {
        say(&format!("GRANT{on_cluster} TABLE ENGINE ON ReplicatedReplacingMergeTree TO {migrator};"));
        say(&format!("GRANT{on_cluster} TABLE ENGINE ON Distributed TO {migrator};"));
        say(&format!("GRANT{on_cluster} CLUSTER, REMOTE ON *.* TO {migrator};"));
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_may_insert_into_every_storage_table_and_the_reader_into_none() {
        let (user, database) = (Database::new("dora").unwrap(), Database::default());
        for target in [Target::Server, Target::cluster("main").unwrap()] {
            let sql = grants(&user, &database, &target);
            let to = |user: &str| {
                sql.lines().filter(|line| line.ends_with(&format!(" TO {user};"))).collect::<Vec<_>>()
            };
            let inserts = to("dora").iter().filter(|line| line.contains("SELECT, INSERT ON")).count();
            let loaded = objects(&database, &target).into_iter().filter(|object| object.is_loaded());
            assert_eq!(inserts, loaded.count());
            assert!(to("dora").iter().all(|line| !line.contains("CREATE") && !line.contains("DROP")));
            assert!(
                to("dora_reader")
                    .iter()
                    .all(|line| line.starts_with("GRANT") && line.contains(" SELECT ON "))
            );
            assert!(to("dora_reader").iter().any(|line| line.contains("streamgauge.dora_windows ")));
        }
    }
}
