# Google Cloud Monitoring's webhook and Pub/Sub notifications (schema 1.2): incidents.
#
# Source: Google's documentation, "Notification channels", and payloads that users have published. No live payload seen.
#
# Pub/Sub pushes hold the notification in base64. The service is the policy's label `service`; else `google_monitoring:`
# with the policy's name.

(if .message.data? then .message.data | base64 | fromjson else . end)
| if .incident == null then {drop: "notification_without_incident"}
  else
    .incident
    | {open: "open", acknowledged: "acknowledged", closed: "resolved"}[.state] as $state
    | {critical: "sev1", error: "sev2", warning: "sev3"}[.severity // "" | ascii_downcase] as $severity
    | if $state == null then error("field `incident.state` has the unknown value \(.state)")
      elif $state == "acknowledged" then {drop: "acknowledgement_without_time"}
      else
        (.started_at | todate) as $started
        | (if .ended_at then .ended_at | todate else null end) as $ended
        | {
            id: "google_monitoring:\(.incident_id):\($state)",
            type: "incident",
            occurred_at: ($ended // $started),
            source: "google_monitoring",
            service: (.policy_user_labels.service? // "google_monitoring:\(.policy_name)"),
            incident: {
              incident_id: "google_monitoring:\(.incident_id)",
              state: $state,
              severity: $severity,
              started_at: $started,
              resolved_at: $ended
            }
          }
      end
  end
