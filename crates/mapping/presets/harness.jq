# Harness' notifications of pipelines by webhook: pipelines and stages as deployments.
#
# Source: Harness' documentation, "Add a pipeline notification strategy", "JSON for webhook notifications". No live payload
# seen.
#
# Set up: in the pipeline, Notify, New notification: events Stage Start, Stage Success, Stage Failed of the stages that
# deploy (or Pipeline Start, Success, Failed); method Webhook, with a header `Authorization: Bearer …`: the hook's scheme is
# `bearer`. A further header `Environment: production` says where it deploys; without it the stage's name does.
#
# Choose stages or the pipeline, not both. Times are Unix seconds. The service is the header `Service`, else `harness:` with
# the pipeline; the commit comes with a header `Sha`. (Harness also sends CDEvents: those are read by `cdevents`.)

def time: if . == null then null elif . > 100000000000 then frommillis else todate end;
def sha: if . != null and test("^[0-9a-f]{40}$") then . else null end;

{PipelineStart: "running", PipelineSuccess: "succeeded", PipelineFailed: "failed", StageStart: "running", StageSuccess: "succeeded", StageFailed: "failed"} as $states
| .eventData
| if . == null then error("`eventData` is missing: is it a template of your own?")
  else
    $states[.eventType // ""] as $state
    | if $state == null then {drop: "event_type_not_used"}
      else
        "harness:\(.orgIdentifier)/\(.projectIdentifier)/\(.planExecutionId)\(if .stageIdentifier then "/\(.stageIdentifier)" else "" end)" as $id
        | (.startTs | time) as $started
        | (.endTs | time) as $ended
        | {
            id: "\($id):\($state)",
            type: "deployment",
            occurred_at: ($ended // $started),
            source: "harness",
            repo: $headers.repo,
            service: ($headers.service // "harness:\(.projectIdentifier)/\(.pipelineIdentifier)"),
            deployment: {
              deployment_id: $id,
              environment: ($headers.environment // .stageName // .pipelineName),
              sha: ($headers.sha | sha),
              state: $state,
              started_at: $started,
              finished_at: (if $state == "running" then null else $ended end),
              trigger: ({MANUAL: "manual", WEBHOOK: "push", WEBHOOK_CUSTOM: "push", SCHEDULER_CRON: "schedule"}[.triggeredBy.triggerType? // ""])
            }
          }
      end
  end
