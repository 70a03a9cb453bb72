# Flyway's JSON output: migrations of a schema as deployments.
#
# Source: Flyway's documentation, "Migrate" (`-outputType=json`). No live payload seen.
#
# Set up: in the pipeline `flyway migrate -outputType=json | curl --data-binary @- -H "Authorization: Bearer $TOKEN"
# -H "Service: checkout" -H "Environment: production" -H "Sha: $COMMIT" https://<gateway>/v1/hooks/flyway`: the hook's
# scheme is `bearer`.
#
# The output says neither when it ran nor for what: it occurred when it was received, and the headers say the rest. What
# migrated nothing is no deployment; of a failure without a commit nobody could say which one it was.

def sha: if . != null and test("^[0-9a-f]{40}$") then . else null end;

if .error == null and .operation != "migrate" then {drop: "operation_not_used"}
elif .error == null and .migrationsExecuted == 0 then {drop: "nothing_migrated"}
elif .error != null and ($headers.sha | sha) == null then {drop: "failure_without_commit"}
else
  ($headers.environment // error("the header `Environment` says what was migrated, and is missing")) as $environment
  | (if .error != null or .success == false then "failed" else "succeeded" end) as $state
  | ($headers.service // "flyway:\(.database // "")/\(.schemaName // "")") as $service
  | "flyway:\($service)/\($environment)/\($headers.sha // .targetSchemaVersion // "repeatable")" as $id
  | {
      id: "\($id):\($state)",
      type: "deployment",
      occurred_at: $received_at,
      source: "flyway",
      repo: $headers.repo,
      service: $service,
      deployment: {
        deployment_id: $id,
        environment: $environment,
        version: .targetSchemaVersion,
        sha: ($headers.sha | sha),
        state: $state,
        finished_at: $received_at
      }
    }
end
