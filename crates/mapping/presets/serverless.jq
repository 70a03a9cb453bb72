# The Serverless Framework, by our template (streamgauge.serverless.v1): what it published, as deployments.
#
# Source: the Serverless Framework's documentation, "Variables" and the lifecycle event `after:deploy:deploy`; the framework
# itself posts nothing. No live payload seen.
#
# Set up: deploy/templates/serverless, which posts one line after `serverless deploy`, with a bearer token: the hook's scheme
# is `bearer`.
#
# Another template is refused by its name. The environment is the stage; the service is `serverless:` with the service's name.

if .template != "streamgauge.serverless.v1" then
  error("the body comes from another template: set up deploy/templates/serverless, which sends `template` = \"streamgauge.serverless.v1\"")
else
  .deployment
  | "serverless:\(.service)/\(.stage)/\(.region // "")/\(.finished_at)" as $id
  | if [.state] | any(. == "succeeded" or . == "failed") | not then error("field `deployment.state` has the unknown value \(.state)")
    else
      {
        id: "\($id):\(.state)",
        type: "deployment",
        occurred_at: .finished_at,
        source: "serverless",
        service: "serverless:\(.service)",
        deployment: {
          deployment_id: $id,
          environment: .stage,
          part: (if (.region // "") == "" then null else .region end),
          sha: (if .sha // "" | test("^[0-9a-f]{40}$") then .sha else null end),
          state: .state,
          started_at: (if (.started_at // "") == "" then null else .started_at end),
          finished_at: .finished_at
        }
      }
    end
end
