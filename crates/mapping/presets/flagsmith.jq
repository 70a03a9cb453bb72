# Flagsmith's environment webhooks: flag changes.
#
# Source: Flagsmith's documentation, "Environment Webhooks". No live payload seen.
#
# Changes for one identity or segment are not the flag's own. Before 2021 the environment was a number.

{FLAG_UPDATED: "updated", FLAG_DELETED: "deleted"}[.event_type] as $action
| if $action == null then {drop: "event_type_not_used"}
  else
    .data
    | (.new_state // .previous_state) as $state
    | if $state.identity != null or $state.feature_segment != null then {drop: "override_not_used"}
      else
        ($state.environment | .name? // tostring) as $environment
        | def told: if . == null then null elif .enabled then "on" else "off" end;
          {
            id: "flagsmith:\($environment)/\($state.feature.id):\(.timestamp)",
            type: "flag_change",
            occurred_at: .timestamp,
            source: "flagsmith",
            service: "flagsmith:\($state.feature.project | .name? // tostring)",
            flag_change: {
              flag: $state.feature.name,
              action: $action,
              environment: $environment,
              from: (.previous_state | told),
              to: (if $action == "deleted" then null else .new_state | told end)
            }
          }
      end
  end
