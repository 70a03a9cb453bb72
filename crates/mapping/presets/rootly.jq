# Rootly's webhooks: incidents.
#
# Source: Rootly's documentation, "Outgoing Webhooks" (events, signature) and "Event Payloads"; the fields of an incident as
# its API names them. No live payload seen.
#
# Set up: Settings, Webhooks, New webhook: the hook's URL, the events of incidents, and the secret shown; the hook's scheme is
# `rootly`.
#
# Alerts become incidents in Rootly, so they are not used. A cancelled incident was none, nor is one of the kinds `example`
# and `scheduled`; one of the kind `test` is a drill. The service is `rootly:` with the slug of the first service.

def state:
  if .resolved_at then "resolved"
  elif .mitigated_at then "mitigated"
  elif .acknowledged_at then "acknowledged"
  else "open" end;

def severity:
  (.severity.slug? // .severity.name? // "" | ascii_downcase) as $word
  | {sev0: "sev1", sev1: "sev1", critical: "sev1", sev2: "sev2", high: "sev2", sev3: "sev3", medium: "sev3", sev4: "sev4", low: "sev4", sev5: "sev5"}[$word];

.event as $event
| if ($event.type | startswith("incident.") | not) then {drop: "event_type_not_used"}
  elif ($event.type | test("^incident\\.(scheduled|cancelled|deleted)")) then {drop: "incident_not_real"}
  elif .data.kind? // "normal" | test("^(example|scheduled)") then {drop: "incident_not_real"}
  else
    .data
    | {
        id: "rootly:\($event.id)",
        type: "incident",
        occurred_at: $event.issued_at,
        source: "rootly",
        service: (if .services[0]?.slug? then "rootly:\(.services[0].slug)" else null end),
        drill: (if .kind? // "normal" | startswith("test") then true else null end),
        incident: {
          incident_id: "rootly:\(.id)",
          state: state,
          severity: severity,
          started_at: .started_at,
          detected_at: .detected_at,
          mitigated_at: .mitigated_at,
          resolved_at: .resolved_at
        }
      }
  end
