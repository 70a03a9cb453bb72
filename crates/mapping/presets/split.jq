# Split's (Harness FME's) webhook of audit logs: changes of flags.
#
# Source: Harness' documentation, "Webhook for Audit Logs" of Feature Management & Experimentation. No live payload seen.
#
# Set up: Admin settings, Integrations, Outgoing webhook (audit logs), the URL `https://<gateway>/v1/hooks/split/<token>`: it
# signs nothing, so the hook's scheme is `url_token`.
#
# Times are Unix time, of seconds or milliseconds. The definition tells too much to keep; changes of segments are not used.
# A catalog claims the flag by the alias `flag:…`.

if .type == "audit_log" then {drop: "administration_not_used"}
elif .type != "split" then {drop: "type_not_used"}
else
  (.time | if . > 100000000000 then frommillis else todate end) as $at
  | {
      id: "split:\(.environmentName)/\(.name):\(.changeNumber // .time)",
      type: "flag_change",
      occurred_at: $at,
      source: "split",
      flag_change: {
        flag: .name,
        action: (if .previous == null then "created" else "updated" end),
        environment: .environmentName
      }
    }
end
