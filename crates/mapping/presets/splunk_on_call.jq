# Splunk On-Call's (VictorOps') outgoing webhooks, by our templates (streamgauge.splunk_on_call.v1): incidents.
#
# Source: Splunk's documentation, "Custom outbound webhooks" (events, variables). No live payload seen.
#
# Set up: Integrations, Outgoing webhooks: one for each of Incident-Triggered, Incident-Acknowledged and Incident-Resolved,
# with the payloads of deploy/templates/splunk_on_call and a header Authorization: the hook's scheme is `bearer`.
#
# Another template is refused by its name. An incident's state occurred when it was received: the payload's times depend on
# what alerted. The service is `splunk_on_call:` with the routing key. Severity is not known.

if .template != "streamgauge.splunk_on_call.v1" then
  error("the body comes from another template: set up deploy/templates/splunk_on_call, which sends `template` = \"streamgauge.splunk_on_call.v1\"")
else
  .incident
  | if [.state] | any(. == "open" or . == "acknowledged" or . == "resolved") | not then error("field `incident.state` has the unknown value \(.state)")
    elif (.id // "") == "" then error("field `incident.id` is empty")
    else
      {
        id: "splunk_on_call:\(.id):\(.state)",
        type: "incident",
        occurred_at: $received_at,
        source: "splunk_on_call",
        service: (if (.routing_key // "") == "" then null else "splunk_on_call:\(.routing_key)" end),
        incident: {
          incident_id: "splunk_on_call:\(.id)",
          state: .state,
          resolved_at: (if .state == "resolved" then $received_at else null end)
        }
      }
    end
end
