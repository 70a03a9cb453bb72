#!/bin/sh
# The Serverless Framework's deployments to Streamgauge, template streamgauge.serverless.v1.
#
# In Streamgauge's configuration: [sources.serverless], and [gateway.hooks.serverless] with scheme = "bearer". In the
# pipeline, instead of `serverless deploy`:
#
#     STREAMGAUGE_URL=https://streamgauge.example/v1/hooks/serverless STREAMGAUGE_TOKEN=... \
#         deploy.sh SERVICE STAGE REGION [arguments of serverless deploy]
set -u
service=$1 stage=$2 region=$3
shift 3
started=$(date -u +%Y-%m-%dT%H:%M:%SZ)
serverless deploy --stage "$stage" --region "$region" "$@"
code=$?
if [ "$code" -eq 0 ]; then state=succeeded; else state=failed; fi
finished=$(date -u +%Y-%m-%dT%H:%M:%SZ)
sha=$(git rev-parse HEAD 2>/dev/null || true)
# What was deployed stays deployed, whether or not it could be told.
curl --silent --show-error --fail --retry 3 --header 'Content-Type: application/json' \
    --header "Authorization: Bearer $STREAMGAUGE_TOKEN" --data-binary @- "$STREAMGAUGE_URL" <<JSON || true
{"template":"streamgauge.serverless.v1","deployment":{"service":"$service","stage":"$stage","region":"$region","state":"$state","sha":"$sha","started_at":"$started","finished_at":"$finished"}}
JSON
exit "$code"
