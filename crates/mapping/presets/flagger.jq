# Flagger's event webhooks (type `event`): canaries as deployments.
#
# Source: Flagger's documentation, "Webhooks", and its own code (`CanaryWebhookPayload`), which sends a `checksum` that the
# documentation leaves out. No live payload seen.
#
# Set up: in the canary's `analysis.webhooks` one of type `event` with the URL `https://<gateway>/v1/hooks/flagger/<token>`: it
# signs nothing, so the hook's scheme is `url_token`.
#
# The metadata's `timestamp` is in milliseconds. A rollout is known by its namespace, name and checksum. The environment is
# the namespace.

{Initializing: "running", Progressing: "running", Promoting: "running", Finalising: "running", Waiting: "running", WaitingPromotion: "running", Succeeded: "succeeded", Initialized: "succeeded", Failed: "failed"}[.phase] as $state
| if $state == null then {drop: "phase_not_used"}
  elif (.checksum // "") == "" then error("`checksum` is missing, by which rollouts are told apart: a newer Flagger sends it")
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
