# New Relic's workflows, by the default template of a webhook: issues as incidents.
#
# Source: New Relic's documentation, "Workflow variables", and integrations that read the default template. No live
# payload seen.
#
# The service is `newrelic:` with the first impacted entity, else the first alert policy.

{CREATED: "open", ACTIVATED: "open", ACKNOWLEDGED: "acknowledged", RESOLVED: "resolved", CLOSED: "resolved"}[.state] as $state
| {CRITICAL: "sev1", HIGH: "sev2", MEDIUM: "sev3", LOW: "sev4"}[.priority // ""] as $severity
| if $state == null then {drop: "issue_state_not_used"}
  else
    (.updatedAt // .createdAt | frommillis) as $at
    | {
        id: "newrelic:\(.id):\(.state):\($at)",
        type: "incident",
        occurred_at: $at,
        source: "newrelic",
        service: ((.impactedEntities[0]? // .alertPolicyNames[0]?) as $name | if $name then "newrelic:\($name)" else null end),
        incident: {
          incident_id: "newrelic:\(.id)",
          state: $state,
          severity: $severity,
          started_at: (.createdAt | frommillis),
          resolved_at: (if $state == "resolved" then $at else null end)
        }
      }
  end
