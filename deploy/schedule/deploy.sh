#!/usr/bin/env bash
# Deploys the nightly run, the backfill and the alert. May be run again. Needs PROJECT, REGION, ORDER (a JSON file, the
# argument of nightly.yaml); SCHEDULE (default: 02:30 every night, UTC); CHANNEL, a notification channel of Cloud Monitoring.
set -euo pipefail
: "${PROJECT:?}" "${REGION:?}" "${ORDER:?}" "${CHANNEL:?}"
here="$(cd "$(dirname "$0")" && pwd)"
scheduler="packshot-scheduler@$PROJECT.iam.gserviceaccount.com"
worker="packshot-worker@$PROJECT.iam.gserviceaccount.com"

gcloud services enable workflows.googleapis.com workflowexecutions.googleapis.com cloudscheduler.googleapis.com --project "$PROJECT"
gcloud iam service-accounts describe "$scheduler" --project "$PROJECT" >/dev/null 2>&1 ||
  gcloud iam service-accounts create packshot-scheduler --project "$PROJECT" --display-name 'Packshot by night'
# to start and watch jobs, run them as the worker's account, start workflows and write its log
for role in roles/dataflow.developer roles/workflows.invoker roles/logging.logWriter; do
  gcloud projects add-iam-policy-binding "$PROJECT" --member "serviceAccount:$scheduler" --role "$role" --condition None >/dev/null
done
gcloud iam service-accounts add-iam-policy-binding "$worker" --project "$PROJECT" \
  --member "serviceAccount:$scheduler" --role roles/iam.serviceAccountUser >/dev/null
# it reads the output (LATEST, run.json), the template and, for a backfill, the names in the input
buckets="$(python3 -c '
import json, sys
order = json.load(open(sys.argv[1]))
places = [order["template"], order["output"], order["parameters"]["input"]]
print("\n".join(sorted({place.split("/")[2] for place in places if place.startswith("gs://")})))' "$ORDER")"
for bucket in $buckets; do
  gcloud storage buckets add-iam-policy-binding "gs://$bucket" --member "serviceAccount:$scheduler" \
    --role roles/storage.objectViewer >/dev/null
done

for name in nightly backfill; do
  gcloud workflows deploy "packshot-$name" --project "$PROJECT" --location "$REGION" \
    --source "$here/$name.yaml" --service-account "$scheduler"
done

body="$(python3 -c 'import json, sys; print(json.dumps({"argument": json.dumps(json.load(open(sys.argv[1])))}))' "$ORDER")"
verb=create
gcloud scheduler jobs describe packshot-nightly --project "$PROJECT" --location "$REGION" >/dev/null 2>&1 && verb=update
gcloud scheduler jobs "$verb" http packshot-nightly --project "$PROJECT" --location "$REGION" \
  --schedule "${SCHEDULE:-30 2 * * *}" --time-zone Etc/UTC --oauth-service-account-email "$scheduler" --http-method POST \
  --uri "https://workflowexecutions.googleapis.com/v1/projects/$PROJECT/locations/$REGION/workflows/packshot-nightly/executions" \
  --message-body "$body"

gcloud monitoring policies list --project "$PROJECT" --format 'value(displayName)' | grep -q '^Packshot: a run failed' ||
  gcloud monitoring policies create --project "$PROJECT" --policy-from-file "$here/alert-policy.json" --notification-channels "$CHANNEL"
