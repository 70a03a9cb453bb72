# Google Cloud Deploy's notifications (the Pub/Sub topic clouddeploy-operations, pushed): rollouts as deployments.
#
# Source: Google's documentation, "Using Cloud Deploy notifications". No live payload seen.
#
# What happened stands in the message's attributes. The environment is the target; the version is the release. The
# service is `google_deploy:` with the delivery pipeline.

{Start: "running", Succeed: "succeeded", Failure: "failed", Cancelled: "cancelled"} as $states
| .message as $message
| $message.attributes
| $states[.Action // ""] as $state
| if .ResourceType != "Rollout" then {drop: "resource_not_used"}
  elif $state == null then {drop: "action_not_used"}
  else
    "google_deploy:\(.ProjectNumber)/\(.Location)/\(.DeliveryPipelineId)/\(.ReleaseId)/\(.RolloutId)" as $id
    | {
        id: "\($id):\($state)",
        type: "deployment",
        occurred_at: $message.publishTime,
        source: "google_deploy",
        service: "google_deploy:\(.DeliveryPipelineId)",
        deployment: {
          deployment_id: $id,
          environment: .TargetId,
          version: .ReleaseId,
          state: $state,
          started_at: (if $state == "running" then $message.publishTime else null end),
          finished_at: (if $state == "running" then null else $message.publishTime end)
        }
      }
  end
