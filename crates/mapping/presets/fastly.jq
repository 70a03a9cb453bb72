# Fastly's event logs: activations of a service's version as deployments.
#
# Source: Fastly's documentation, "Event logs" (the API's data model). No live payload seen.
#
# Set up: Fastly sends no webhook for these. Post what `GET https://api.fastly.com/events?filter[event_type]=version.activate`
# answers to the hook, every few minutes; what was told before changes nothing.
#
# Other events are part of a version, or of the account. The environment is production; the service is `fastly:` with the
# service's id. Which commit a version was made of nothing says.

(if .data | type == "array" then .data[] else .data end)
| if .attributes.event_type != "version.activate" then {drop: "event_type_not_used"}
  else
    .id as $id
    | .attributes
    | (.metadata.version_number? // .metadata.version? // null) as $version
    | {
        id: "fastly:\($id)",
        type: "deployment",
        occurred_at: .created_at,
        source: "fastly",
        service: "fastly:\(.service_id)",
        deployment: {
          deployment_id: "fastly:\($id)",
          environment: "production",
          tier: "production",
          version: (if $version == null then null else "\($version)" end),
          state: "succeeded",
          started_at: .created_at,
          finished_at: .created_at
        }
      }
  end
