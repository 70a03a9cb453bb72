# Cloudflare's audit logs, as Logpush posts them: changes of configuration as deployments.
#
# Source: Cloudflare's documentation, "Logpush", datasets "Audit Logs" and "Audit Logs V2". No live payload seen.
#
# Set up: a Logpush job of `audit_logs_v2` (or `audit_logs`) to `https://<gateway>/v1/hooks/cloudflare?header_Authorization=…`,
# with `output_options`: `batch_prefix` "[", `batch_suffix` "]", `record_delimiter` ",", `timestamp_format` "rfc3339".
#
# What was only looked at, and what concerns accounts (log-ins, members, tokens), is no change of configuration. The
# environment is production; the service is `cloudflare:` with the zone's name, else with the type of what was changed.
# Nothing says which commit a change came from.

def time:
  if type == "number" then (if . > 100000000000000000 then . / 1000000000 elif . > 100000000000 then . / 1000 else . end | todate)
  else . end;

def change($id; $at; $action; $resource; $zone; $actor; $done):
  if $id == null or $at == null then error("an audit log has an id and a time: is the dataset audit_logs or audit_logs_v2?")
  elif $action | ascii_downcase | test("view|log.?in|log.?out|^read|^get|^list|session") then {drop: "action_not_used"}
  elif $resource // "" | ascii_downcase | test("member|user|token|api_?key|subscription|billing|login|role") then {drop: "account_not_used"}
  else
    ($at | time) as $at
    | {
        id: "cloudflare:\($id)",
        type: "deployment",
        occurred_at: $at,
        source: "cloudflare",
        service: "cloudflare:\($zone // $resource // "account")",
        deployment: {
          deployment_id: "cloudflare:\($id)",
          environment: "production",
          tier: "production",
          state: (if $done then "succeeded" else "failed" end),
          started_at: $at,
          finished_at: $at,
          author_kind: ({user: "human", admin: "human", system: "bot", cloudflare: "bot"}[$actor // "" | ascii_downcase]),
          labels: (if $resource then {resource: $resource} else null end)
        }
      }
  end;

if type == "array" then .[] else . end
| if .content? then {drop: "test_not_used"}
  elif has("AuditLogID") then
    change(.AuditLogID; .ActionTimestamp; .ActionType // ""; .ResourceProduct // .ResourceType; .ZoneName // null | if . == "" then null else . end;
      .ActorType; (.ActionResult // "" | ascii_downcase | startswith("succ")))
  else
    change(.ID; .When; .ActionType // ""; .ResourceType; .Metadata.zone_name? // null; .ActorType; .ActionResult)
  end
