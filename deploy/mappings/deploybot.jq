# An example: a deploy bot that posts {"id", "service", "env", "sha", "status", "started", "finished"} with Unix seconds.
{started: "running", done: "succeeded", failed: "failed"}[.status] as $state
| if $state == null then {drop: "status_not_used"}
  else {
    id: "deploybot:\(.id):\($state)",
    type: "deployment",
    occurred_at: ((.finished // .started) | todate),
    service,
    deployment: {
      deployment_id: "deploybot:\(.id)",
      environment: .env,
      sha,
      state: $state,
      started_at: (.started | todate),
      finished_at: ((.finished | values | todate) // null)
    }
  }
  end
