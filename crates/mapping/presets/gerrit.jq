# Gerrit's events, as the plugin `webhooks` posts them and `gerrit stream-events` prints them: changes as pull requests,
# votes as reviews, and what a submission put on the branch.
#
# Source: Gerrit's documentation, "gerrit stream-events" and "JSON Data Formats"; the plugin's "Config". No live payload seen.
#
# Set up: in `webhooks.config` of All-Projects `[remote "streamgauge"] url = https://<gateway>/v1/hooks/gerrit/<token>`: the
# plugin signs nothing, so the hook's scheme is `url_token`.
#
# Times are Unix seconds. The host is that of the change's URL; a ref-updated event has none, and is not used: a submission
# is told by change-merged. Parents and committer times of commits come with a mirror of the repository.

def host: (.change.url // "" | capture("^https?://(?<host>[^/:]+)").host) // error("`change.url` says no host");

def change($event):
  .change
  | {
      type: "pull_request",
      source: "gerrit",
      repo: "\($event | host)/\(.project)",
      occurred_at: ($event.eventCreatedOn | todate),
      pull_request: {
        number: (.number | tonumber),
        opened_at: (.createdOn // $event.eventCreatedOn | todate),
        head_ref: "refs/changes/\(.number)",
        base_ref: .branch,
        head_sha: $event.patchSet.revision,
        commits: [{sha: $event.patchSet.revision, committed_at: ($event.patchSet.createdOn // $event.eventCreatedOn | todate)}]
      }
    };

. as $event
| .type as $type
| if ["patchset-created", "change-merged", "change-abandoned", "change-restored", "comment-added"] | any(. == $type) | not then {drop: "event_type_not_used"}
  elif .change == null or .patchSet == null then error("`change` or `patchSet` is missing")
  elif $type == "comment-added" then
    (first(.approvals[]? | select(.type == "Code-Review" and .value != .oldValue) | .value | tonumber) // 0) as $vote
    | {
        id: "gerrit:\(host)/\(.change.project)/\(.change.number):review:\(.eventCreatedOn):\($vote)",
        type: "review",
        source: "gerrit",
        repo: "\(host)/\(.change.project)",
        occurred_at: (.eventCreatedOn | todate),
        review: {
          number: (.change.number | tonumber),
          submitted_at: (.eventCreatedOn | todate),
          state: (if $vote > 0 then "approved" elif $vote < 0 then "changes_requested" else "commented" end)
        }
      }
  else
    change($event)
    | .id = "gerrit:\(.repo)/\(.pull_request.number):\($type):\($event.eventCreatedOn):\($event.patchSet.number)"
    | if $type == "change-merged" then
        ($event.newRev // $event.patchSet.revision) as $merged
        | .pull_request.state = "merged"
        | .pull_request.merged_at = .occurred_at
        | .pull_request.merge_commit_sha = $merged
        # A submission that makes a commit of its own (rebase, cherry-pick) is told by another id than the patch set's.
        | .pull_request.merge_method = (if $merged == $event.patchSet.revision then null else "rebase" end)
        | .,
          {
            id: "\(.id):push",
            type: "push",
            source: "gerrit",
            repo,
            occurred_at,
            push: {ref: "refs/heads/\($event.change.branch | ltrimstr("refs/heads/"))", after: $merged, commits: [$merged]}
          }
      elif $type == "change-abandoned" then .pull_request.state = "closed" | .pull_request.closed_at = .occurred_at
      else .pull_request.state = "open"
      end
  end
