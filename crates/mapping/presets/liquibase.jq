# Liquibase's structured logs: updates of a database as deployments.
#
# Source: Liquibase's documentation, "Structured logging keys" (4.25 or newer). No live payload seen.
#
# Set up: `liquibase --log-format=json --log-file=liquibase.log update`, then post each line of the log that has
# `deploymentOutcome` with `curl --data-binary @- -H "Authorization: Bearer $TOKEN" -H "Service: checkout"
# -H "Environment: production" -H "Sha: $COMMIT"`: the hook's scheme is `bearer`.
#
# Lines without an outcome are steps. A rollback is a deployment, too. The service is the header `Service`, else
# `liquibase:` with the schema.

def sha: if . != null and test("^[0-9a-f]{40}$") then . else null end;

{success: "succeeded", fail: "failed", failed: "failed", failure: "failed"}[.deploymentOutcome // "" | ascii_downcase] as $state
| if .deploymentOutcome == null then {drop: "line_without_outcome"}
  elif $state == null then error("field `deploymentOutcome` has the unknown value \(.deploymentOutcome)")
  elif .liquibaseCommandName // "update" | test("^(update|rollback)") | not then {drop: "command_not_used"}
  elif .deploymentId == null then error("`deploymentId` is missing: Liquibase 4.25 or newer tells it")
  elif .deploymentOutcomeCount? == 0 or .deploymentOutcomeCount? == "0" then {drop: "nothing_deployed"}
  else
    ($headers.environment // error("the header `Environment` says what was updated, and is missing")) as $environment
    | ($headers.service // "liquibase:\(.liquibaseSchemaName // "default")") as $service
    | "liquibase:\($service)/\($environment)/\(.deploymentId)" as $id
    | {
        id: "\($id):\($state)",
        type: "deployment",
        occurred_at: .timestamp,
        source: "liquibase",
        repo: $headers.repo,
        service: $service,
        deployment: {
          deployment_id: $id,
          environment: $environment,
          sha: ($headers.sha | sha),
          state: $state,
          finished_at: .timestamp
        }
      }
  end
