# Juniper Mist's webhooks, topic `device-events`: configurations that the controller pushed to devices, as deployments.
#
# Source: Juniper's documentation of the Mist API, "Webhooks", "Device events". No live payload seen.
#
# Set up: Organization, Settings, Webhooks: topic Device Events and a secret; in the configuration of this source
# `verify = {header = "X-Mist-Signature-v2", secret_files = […]}`.
#
# The devices that one change reaches are the parts of one rollout, where the events name the change (`audit_id`). A device
# that went back to its former configuration failed. The environment is production; the service is `mist:` with the site.

{CONFIGURED: "succeeded", RECONFIGURED: "succeeded", CONFIG_FAILED: "failed", CONFIG_REVERTED: "failed", CONFIG_ERROR: "failed"} as $states
| if .topic // "" | test("^device[-_]events$") | not then {drop: "topic_not_used"}
  else
    .events[]
    | $states[.type // "" | capture("^(AP|SW|GW)_(?<kind>[A-Z_]+)$").kind // ""] as $state
    | if $state == null then {drop: "event_type_not_used"}
      else
        (.timestamp | todate) as $at
        | (.mac // .ap // error("`mac` is missing")) as $device
        | (if .audit_id then "mist:\(.audit_id)" else null end) as $rollout
        | "\($rollout // "mist:\(.timestamp)")/\($device)" as $id
        | {
            id: "\($id):\(.type):\(.timestamp)",
            type: "deployment",
            occurred_at: $at,
            source: "mist",
            service: "mist:\(.site_name // .site_id // .org_id)",
            deployment: {
              deployment_id: $id,
              rollout_id: $rollout,
              part: $device,
              environment: "production",
              tier: "production",
              state: $state,
              finished_at: $at,
              trigger: "controller"
            }
          }
      end
  end
