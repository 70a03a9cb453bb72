# FireHydrant's webhooks: incidents.
#
# Source: FireHydrant's documentation, "Webhooks" and "Incident event payloads". No live payload seen.
#
# Set up: Settings, Webhooks, Add webhook, subscribed to Incidents; in the configuration of this source
# `verify = {header = "fh-signature", secret_files = […]}`.
#
# Times come as RFC 3339 or as `2023-07-25 13:34:49 UTC`. The milestone says the state. GAMEDAY is a drill, MAINTENANCE no
# incident. The service is `firehydrant:` with the first service's slug, else its name. Change events and alerts are not
# used: alerts become incidents in FireHydrant.

def time:
  if . == null or . == "" then null
  elif test(" UTC$") then capture("^(?<day>[0-9-]+) (?<time>[0-9:.]+) UTC$") | "\(.day)T\(.time)Z"
  else . end;

{started: "open", detected: "open", acknowledged: "acknowledged", investigating: "acknowledged", identified: "acknowledged", mitigated: "mitigated", resolved: "resolved", postmortem_started: "resolved", postmortem_completed: "resolved", retrospective_started: "resolved", retrospective_completed: "resolved", closed: "resolved"} as $states
| {SEV0: "sev1", SEV1: "sev1", SEV2: "sev2", SEV3: "sev3", SEV4: "sev4", SEV5: "sev5"} as $severities
| .data.incident as $incident
| (.event // .data) as $event
| if $incident == null then {drop: "resource_not_used"}
  elif $event.operation? == "DESTROYED" then {drop: "incident_not_real"}
  else
    $incident
    | ($states[.current_milestone // "started"]) as $state
    | (if .severity | type == "object" then .severity.slug // .severity.name else .severity end // "" | ascii_upcase) as $severity
    | ([.milestones[]? | select(.type != null) | {(.type): (.occurred_at // .created_at | time)}] | add // {}) as $at
    | (.created_at | time) as $created
    | ($at[.current_milestone // ""] // (if $state == "open" then $created else null end) // (.updated_at? | time) // $received_at) as $occurred
    | if $state == null then error("field `data.incident.current_milestone` has the unknown value \(.current_milestone)")
      elif $severity == "MAINTENANCE" then {drop: "maintenance_not_used"}
      else
        {
          id: "firehydrant:\(.id):\(.current_milestone // "started"):\($severity)",
          type: "incident",
          occurred_at: $occurred,
          source: "firehydrant",
          service: ((.services[0]?.slug? // .services[0]?.name?) as $name | if $name then "firehydrant:\($name)" else null end),
          drill: (if $severity == "GAMEDAY" then true else null end),
          incident: {
            incident_id: "firehydrant:\(.id)",
            state: $state,
            severity: $severities[$severity],
            started_at: ($at.started // $created),
            detected_at: $at.detected,
            mitigated_at: (if $state == "mitigated" then $at.mitigated // $occurred else $at.mitigated end),
            resolved_at: (if $state == "resolved" then $at.resolved // $occurred else null end)
          }
        }
      end
  end
