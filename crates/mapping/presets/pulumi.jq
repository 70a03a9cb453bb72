# Pulumi Cloud's webhooks: updates of stacks as deployments.
#
# Source: Pulumi's documentation, "Pulumi Cloud Webhooks". No live payload seen.
#
# Set up: the event group of stacks, format `raw`. The payload tells no time, so an update ended when its delivery was
# received. It is known by its address, the environment is the stack; the service is `pulumi:` with organisation and project.

if $headers["pulumi-webhook-kind"] != "stack_update" then {drop: "event_kind_not_used"}
elif .kind != "update" and .kind != "destroy" then {drop: "update_kind_not_used"}
else
  {succeeded: "succeeded", failed: "failed"}[.result] as $state
  | "pulumi:\(.updateUrl | ltrimstr("https://app.pulumi.com/"))" as $id
  | if $state == null then {drop: "update_not_ended"}
    else
      {
        id: "\($id):\($state)",
        type: "deployment",
        occurred_at: $received_at,
        source: "pulumi",
        service: "pulumi:\(.organization.githubLogin)/\(.projectName)",
        deployment: {
          deployment_id: $id,
          environment: .stackName,
          version: ($id | split("/")[-1]),
          state: $state,
          finished_at: $received_at
        }
      }
    end
end
