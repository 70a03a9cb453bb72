#!/usr/bin/env bash
# Makes the passwords that compose.yaml needs, in files beside this script; those that are there stay as they are.
# The folder is closed to others; the files are not, for each is mounted into a container with a user of its own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
chmod 0700 .
umask 022

random() { od -An -N 24 -t x1 /dev/urandom | tr -d ' \n'; }
hash() { printf %s "$(cat "$1")" | sha256sum | cut -d ' ' -f 1; }

for name in clickhouse_loader clickhouse_migrator clickhouse_reader grafana_admin; do
    [[ -s $name ]] || random >"$name"
done

# ClickHouse keeps hashes only.
cat >clickhouse_passwords.xml <<XML
<clickhouse>
    <users>
        <streamgauge><password_sha256_hex>$(hash clickhouse_loader)</password_sha256_hex></streamgauge>
        <streamgauge_migrator><password_sha256_hex>$(hash clickhouse_migrator)</password_sha256_hex></streamgauge_migrator>
        <streamgauge_reader><password_sha256_hex>$(hash clickhouse_reader)</password_sha256_hex></streamgauge_reader>
    </users>
</clickhouse>
XML
