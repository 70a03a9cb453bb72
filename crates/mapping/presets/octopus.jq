# Octopus Deploy's subscriptions: deployments.
#
# Source: Octopus' documentation, "Subscriptions", and payloads that users have published; both payload types (one event,
# and batches). No live payload seen.
#
# Set up: Configuration, Subscriptions, event categories DeploymentStarted, DeploymentSucceeded, DeploymentFailed; "Webhook".
#
# Names stand in the message, at the places that `MessageReferences` give. The payload has no commit: the release's
# version is told. The service is `octopus:` with the project's name.

def referenced(prefix):
  . as $event
  | first(.MessageReferences[]? | select(.ReferencedDocumentId | startswith(prefix)))
  | . as $at
  | $event.Message[$at.StartIndex:$at.StartIndex + $at.Length];

def related(prefix): first(.RelatedDocumentIds[]? | select(startswith(prefix)));

def deployment:
  {DeploymentStarted: "running", DeploymentSucceeded: "succeeded", DeploymentFailed: "failed"}[.Category] as $state
  | if $state == null then {drop: "event_category_not_used"}
    else
      "octopus:\(related("Deployments-") // error("`RelatedDocumentIds` names no deployment"))" as $id
      | {
          id: "octopus:\(.Id)",
          type: "deployment",
          occurred_at: .Occurred,
          source: "octopus",
          service: "octopus:\(referenced("Projects-") // related("Projects-"))",
          deployment: {
            deployment_id: $id,
            environment: (referenced("Environments-") // related("Environments-")),
            version: (referenced("Releases-") // null),
            state: $state,
            started_at: (if $state == "running" then .Occurred else null end),
            finished_at: (if $state == "running" then null else .Occurred end)
          }
        }
    end;

if .EventType != "SubscriptionPayload" then {drop: "event_type_not_used"}
else .Payload | (.Event // .Events[]) | deployment
end
