# TeamCity's webhooks: builds as runs; builds of configurations that are named after deploying, as deployments.
#
# Source: JetBrains' documentation, "TeamCity Webhooks" and the REST schema of builds. No live payload seen.
#
# Set up: the parameters teamcity.internal.webhooks.enable, .url and .events with BUILD_STARTED;BUILD_FINISHED;BUILD_INTERRUPTED.
#
# The commit is the newest of `lastChanges`, or the first of `revisions`; a build without one is no run. Which repository
# it lies in the payload does not say: the service is `teamcity:` with the project's id, for a catalog to claim.

def time: if . == null then null else parse_time("%Y%m%dT%H%M%S%z") end;

def sha:
  (.revisions.revision[0].version // .lastChanges.change[0].version)
  | if type == "string" and test("^[0-9a-f]{40}$") then . else null end;

def environment:
  ascii_downcase
  | if test("prod|live") then "production" elif test("stag|uat") then "staging" else . end;

{BUILD_STARTED: "running", BUILD_INTERRUPTED: "cancelled", BUILD_FINISHED: "finished"}[.eventType] as $told
| if $told == null then {drop: "event_type_not_used"}
  else
    .payload
    | (if $told == "finished" then (if .status == "SUCCESS" then "succeeded" else "failed" end) else $told end) as $state
    | (.startDate | time) as $started
    | (if $state == "running" then null else (.finishDate | time) // $received_at end) as $finished
    | {
        id: "teamcity:\(.id):\($state)",
        occurred_at: ($finished // $started // $received_at),
        source: "teamcity",
        service: "teamcity:\(.buildType.projectId // .buildTypeId)"
      }
      + (if (.buildType.name // "" | ascii_downcase | test("deploy|release|rollout")) then
          {
            type: "deployment",
            deployment: {
              deployment_id: "teamcity:\(.id)",
              environment: (.buildType.name | environment),
              version: .number,
              sha: sha,
              state: $state,
              started_at: $started,
              finished_at: $finished
            }
          }
        elif sha == null then {drop: "build_without_commit"}
        else
          {
            type: "pipeline_run",
            pipeline_run: {
              run_id: "teamcity:\(.id)",
              attempt: 1,
              workflow: .buildTypeId,
              sha: sha,
              ref: .branchName,
              state: (if $state == "succeeded" then "passed" else $state end),
              started_at: $started,
              finished_at: $finished
            }
          }
        end)
  end
