# Gerrit's events, as its plugin `webhooks` posts them: changes as pull requests.
#
# Source: Gerrit's documentation, "gerrit stream-events", and events that users have published. No live payload seen.
#
# Set up: the events patchset-created, change-merged and change-abandoned. The repository is the host of the change's
# address with the project. Votes are told by other events, which are not used yet.

{"patchset-created": "open", "change-merged": "merged", "change-abandoned": "closed", "change-restored": "open"}[.type] as $state
| if $state == null then {drop: "event_type_not_used"}
  else
    (.change.url // "" | capture("^https?://(?<host>[^/:]+)").host) as $host
    | (.eventCreatedOn | todate) as $at
    | {
        id: "gerrit:\($host)/\(.change.number):\(.type):\(.eventCreatedOn)",
        type: "pull_request",
        occurred_at: $at,
        source: "gerrit",
        repo: "\($host)/\(.change.project)",
        pull_request: {
          number: (.change.number | tonumber),
          state: $state,
          opened_at: (.change.createdOn // .patchSet.createdOn | todate),
          merged_at: (if $state == "merged" then $at else null end),
          closed_at: (if $state == "open" then null else $at end),
          head_ref: .patchSet.ref,
          base_ref: .change.branch,
          head_sha: .patchSet.revision,
          merge_commit_sha: (if $state == "merged" then .newRev else null end)
        }
      }
  end
