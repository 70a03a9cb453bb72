# Atlantis' HTTP webhooks: applies as deployments.
#
# Source: Atlantis' documentation, "Sending notifications via webhooks", and its own code (`ApplyResult`). No live payload
# seen.
#
# Set up: in the server's configuration `webhooks: [{event: apply, kind: http, url: https://<gateway>/v1/hooks/atlantis}]`,
# and `--webhook-http-headers` for a bearer token: the hook's scheme is `bearer`.
#
# An apply has no time and no id: it occurred when it was received, and a second one of the same commit, directory and
# workspace is the same deployment. The commit is the pull request's head. The environment is the workspace; the service
# is `atlantis:` with the project's name, else the directory's. What is sent beside (drift) is not used.

def sha: if type == "string" and test("^[0-9a-f]{40}$") then . else null end;

if .Success == null or .Workspace == null then {drop: "event_not_used"}
else
  "\(.Repo.VCSHost.Hostname? // "github.com")/\(.Repo.FullName)" as $repo
  | (if (.Directory // "") == "" then "." else .Directory end) as $directory
  | (if .Success then "succeeded" else "failed" end) as $state
  | "atlantis:\($repo)#\(.Pull.Num)/\($directory)/\(.Workspace)/\(.Pull.HeadCommit // "" | .[0:12])" as $id
  | {
      id: "\($id):\($state)",
      type: "deployment",
      occurred_at: $received_at,
      source: "atlantis",
      repo: $repo,
      service: "atlantis:\(if (.ProjectName // "") == "" then "\(.Repo.FullName)/\($directory)" else .ProjectName end)",
      deployment: {
        deployment_id: $id,
        environment: .Workspace,
        sha: (.Pull.HeadCommit | sha),
        state: $state,
        finished_at: $received_at,
        trigger: "manual",
        change_ref: (if (.Pull.URL // "") == "" then null else .Pull.URL end)
      }
    }
end
