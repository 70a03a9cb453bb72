# Flagsmith's environment webhooks: changes of flags.
#
# Source: Flagsmith's documentation, "Webhooks" (environment webhooks, signature). No live payload seen.
#
# Set up: Environment settings, Webhooks: the hook's URL and a secret; in the configuration of this source
# `verify = {header = "X-Flagsmith-Signature", secret_files = […]}`.
#
# What is set for one identity alone is no change of the flag. A catalog claims the flag by the alias `flag:…`.

def value: if . == null then null else (if .enabled then "on" else "off" end) + (if .feature_state_value == null or .feature_state_value == "" then "" else " \(.feature_state_value)" | .[0:200] end) end;

{FLAG_UPDATED: "updated", FLAG_DELETED: "deleted"}[.event_type // ""] as $action
| if $action == null then {drop: "event_type_not_used"}
  else
    .data
    | (.new_state // .previous_state) as $state
    | if $state == null then error("neither `data.new_state` nor `data.previous_state` is there")
      elif ($state.identity // $state.identity_identifier) != null then {drop: "identity_not_used"}
      else
        {
          id: "flagsmith:\($state.environment.id)/\($state.feature.id):\(.timestamp)",
          type: "flag_change",
          occurred_at: .timestamp,
          source: "flagsmith",
          flag_change: {
            flag: $state.feature.name,
            action: (if $action == "deleted" then "deleted" elif .previous_state == null then "created" else "updated" end),
            environment: $state.environment.name,
            from: (.previous_state | value),
            to: (if $action == "deleted" then null else .new_state | value end)
          }
        }
      end
  end
