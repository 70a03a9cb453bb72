# Spinnaker's events, as Echo posts them to a REST endpoint: pipelines that deploy, as deployments.
#
# Source: Spinnaker's documentation, "Notifications and Events Guide", and the tests of its own listeners (echo). No live
# payload seen.
#
# Set up: `rest.enabled` and `rest.endpoints` in echo-local.yml.
#
# A pipeline deploys when it has a stage that does. The environment is that stage's account; the service is `spinnaker:`
# with the application. The commit is told where the trigger has one.

def deploys: .type as $type | ["deploy", "deployManifest", "deployCloudFormation", "runJobManifest"] | any(. == $type);

def account: .context.account // .context.credentials // .context.clusters[0].account;

def sha:
  (.trigger.hash // .trigger.buildInfo.scm[0].sha1)
  | if type == "string" and test("^[0-9a-f]{40}$") then . else null end;

if (.details.type // "" | test("^orca:pipeline:(starting|complete|failed)$") | not) then {drop: "event_type_not_used"}
else
  .content.execution
  | {RUNNING: "running", SUCCEEDED: "succeeded", TERMINAL: "failed", FAILED_CONTINUE: "failed", STOPPED: "cancelled", CANCELED: "cancelled"}[.status] as $state
  | first((.stages[]? | select(deploys) | account), null) as $account
  | if $state == null then {drop: "execution_not_begun"}
    elif $account == null then {drop: "pipeline_without_deployment"}
    else
      (if .startTime then .startTime | frommillis else null end) as $started
      | (if $state != "running" and .endTime then .endTime | frommillis else null end) as $finished
      | {
          id: "spinnaker:\(.id):\($state)",
          type: "deployment",
          occurred_at: ($finished // $started // $received_at),
          source: "spinnaker",
          service: "spinnaker:\(.application)",
          deployment: {
            deployment_id: "spinnaker:\(.id)",
            environment: $account,
            sha: sha,
            state: $state,
            started_at: $started,
            finished_at: $finished
          }
        }
    end
end
