# Dynatrace's problem notifications, by our template (streamgauge.dynatrace.v1): problems as incidents.
#
# Source: Dynatrace's documentation, "Webhook integration" (placeholders) and "Problems API v2" (the details). No live
# payload seen.
#
# Set up: Settings, Integration, Problem notifications, Custom integration; "call webhook if problem is closed"; the payload
# of deploy/templates/dynatrace; an additional header Authorization with a bearer token: the hook's scheme is `bearer`.
#
# Another template is refused by its name. The service is the problem's tag `service`, else `dynatrace:` with the first
# impacted entity's name. A problem that was merged into another is told by that one.

def named: if . == null or . == "" then null else . end;

{AVAILABILITY: "sev1", ERROR: "sev2", PERFORMANCE: "sev3", RESOURCE_CONTENTION: "sev3", CUSTOM_ALERT: "sev3", INFO: "sev5"} as $severities
| if .template != "streamgauge.dynatrace.v1" then
    error("the body comes from another template: set up deploy/templates/dynatrace, which sends `template` = \"streamgauge.dynatrace.v1\"")
  else
    .problem
    | {OPEN: "open", RESOLVED: "resolved", MERGED: "merged"}[.state] as $state
    | .details as $details
    | (first($details.entityTags[]? | select(.key == "service") | .value) // null) as $tag
    | ($details.startTime | frommillis) as $started
    | (if $details.endTime > 0 then $details.endTime | frommillis else null end) as $ended
    | if $state == null then error("field `problem.state` has the unknown value \(.state)")
      elif $state == "merged" then {drop: "problem_merged"}
      elif $state == "resolved" and $ended == null then error("a resolved problem has no `details.endTime`")
      else
        {
          id: "dynatrace:\(.id):\($state)",
          type: "incident",
          occurred_at: ($ended // $started),
          source: "dynatrace",
          service: ($tag // ($details.impactedEntities[0].name? | named | if . then "dynatrace:\(.)" else null end)),
          incident: {
            incident_id: "dynatrace:\(.id)",
            state: $state,
            severity: $severities[.severity // ""],
            started_at: $started,
            resolved_at: $ended
          }
        }
      end
  end
