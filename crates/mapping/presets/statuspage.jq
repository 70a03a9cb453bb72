# Atlassian Statuspage's webhook notifications: incidents.
#
# Source: Atlassian's documentation, "Enable webhook notifications"; a payload of an incident and one of a component that
# another project's tests keep. No live payload seen.
#
# Set up: on the status page, Subscribe to updates, Webhook: `https://<gateway>/v1/hooks/statuspage/<token>`; it signs nothing,
# so the hook's scheme is `url_token`. Scheduled maintenance and components alone tell no incident. The
# service is `statuspage:` with the page's id.

{investigating: "open", identified: "acknowledged", monitoring: "mitigated", resolved: "resolved", postmortem: "resolved"} as $states
| {critical: "sev1", major: "sev2", minor: "sev3", none: "sev5"} as $severities
| if .incident == null then {drop: "component_not_used"}
  else
    .page.id as $page
    | .incident
    | $states[.status] as $state
    | if $state == null then {drop: "maintenance_not_used"}
      else
        {
          id: "statuspage:\(.id):\(.status):\(.updated_at)",
          type: "incident",
          occurred_at: (if $state == "resolved" then .resolved_at // .updated_at else .updated_at end),
          source: "statuspage",
          service: "statuspage:\($page)",
          incident: {
            incident_id: "statuspage:\(.id)",
            state: $state,
            severity: $severities[.impact],
            started_at: .created_at,
            mitigated_at: .monitoring_at,
            resolved_at: .resolved_at
          }
        }
      end
  end
