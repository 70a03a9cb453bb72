# Flagger's event webhooks (type `event`): canaries as deployments.
#
# Source: Flagger's documentation, "Webhooks". No live payload seen.
#
# The metadata's `timestamp` is in milliseconds. A canary is known by its namespace, name and checksum. The environment is
# the namespace.

{Initializing: "running", Progressing: "running", Promoting: "running", Finalising: "running", Waiting: "running", WaitingPromotion: "running", Succeeded: "succeeded", Initialized: "succeeded", Failed: "failed"}[.phase] as $state
| if $state == null then {drop: "phase_not_used"}
  else
    "flagger:\(.namespace)/\(.name)/\(.checksum)" as $id
    | (.metadata.timestamp | frommillis) as $at
    | {
        id: "\($id):\(.phase):\($at)",
        type: "deployment",
        occurred_at: $at,
        source: "flagger",
        service: "flagger:\(.namespace)/\(.name)",
        deployment: {
          deployment_id: $id,
          environment: .namespace,
          state: $state,
          finished_at: (if $state == "running" then null else $at end)
        }
      }
  end
