# Pulumi Cloud's webhooks: updates of stacks as deployments.
#
# Source: Pulumi's documentation, "Pulumi Cloud Webhooks", "Generic JSON webhooks". No live payload seen.
#
# Set up: Settings, Webhooks, Create webhook: destination Webhook, a secret, events Update succeeded and Update failed; in
# the configuration of this source `verify = {header = "Pulumi-Webhook-Signature", secret_files = […]}`.
#
# The payload has no time and no commit: an update occurred when it was received. Previews change nothing; refreshes and
# destructions ship nothing; a Pulumi Deployment is told by the update that it makes. The environment is the stack; the
# service is `pulumi:` with the project.

if .updateUrl == null then {drop: "event_not_used"}
elif .isPreview == true or (.updateUrl | test("/previews/")) then {drop: "preview_not_used"}
elif .kind != "update" then {drop: "operation_not_used"}
else
  {succeeded: "succeeded", failed: "failed"}[.result // ""] as $state
  | (.updateUrl | capture("/(?<number>[0-9]+)$").number // error("`updateUrl` ends in no number: \(.)")) as $number
  | "pulumi:\(.organization.name // .organization.githubLogin)/\(.projectName)/\(.stackName)/\($number)" as $id
  | if $state == null then error("field `result` has the unknown value \(.result)")
    else
      {
        id: "\($id):\($state)",
        type: "deployment",
        occurred_at: $received_at,
        source: "pulumi",
        service: "pulumi:\(.projectName)",
        deployment: {
          deployment_id: $id,
          environment: .stackName,
          state: $state,
          finished_at: $received_at
        }
      }
    end
end
