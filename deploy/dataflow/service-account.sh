#!/usr/bin/env bash
# Makes the account that launcher and workers run as, a bucket for staging and a repository for images, and grants the
# account what it needs and no more. May be run again. Needs PROJECT, REGION, REPOSITORY, BUCKET, ACCOUNT; and, once the
# catalogue's buckets are known, INPUT_BUCKET and OUTPUT_BUCKET.
set -euo pipefail
: "${PROJECT:?}" "${REGION:?}" "${REPOSITORY:?}" "${BUCKET:?}" "${ACCOUNT:?}"
member="serviceAccount:$ACCOUNT"

gcloud services enable dataflow.googleapis.com compute.googleapis.com artifactregistry.googleapis.com --project "$PROJECT"
gcloud iam service-accounts describe "$ACCOUNT" --project "$PROJECT" >/dev/null 2>&1 ||
  gcloud iam service-accounts create "${ACCOUNT%%@*}" --project "$PROJECT" --display-name 'Packshot on Dataflow'
gcloud storage buckets describe "gs://$BUCKET" >/dev/null 2>&1 ||
  gcloud storage buckets create "gs://$BUCKET" --project "$PROJECT" --location "$REGION" --uniform-bucket-level-access --soft-delete-duration 0
gcloud artifacts repositories describe "$REPOSITORY" --project "$PROJECT" --location "$REGION" >/dev/null 2>&1 ||
  gcloud artifacts repositories create "$REPOSITORY" --project "$PROJECT" --location "$REGION" --repository-format docker

# to be a worker and to start the job that the launcher wrote down; nothing else of the project
gcloud projects add-iam-policy-binding "$PROJECT" --member "$member" --role roles/dataflow.worker --condition None >/dev/null
# the images
gcloud artifacts repositories add-iam-policy-binding "$REPOSITORY" --project "$PROJECT" --location "$REGION" \
  --member "$member" --role roles/artifactregistry.reader >/dev/null
# staging and temporary files
gcloud storage buckets add-iam-policy-binding "gs://$BUCKET" --member "$member" --role roles/storage.objectAdmin >/dev/null
# photos and models: read; pictures and tables: write, list and delete (LATEST is replaced, notes are deleted)
[ -z "${INPUT_BUCKET:-}" ] ||
  gcloud storage buckets add-iam-policy-binding "gs://$INPUT_BUCKET" --member "$member" --role roles/storage.objectViewer >/dev/null
[ -z "${OUTPUT_BUCKET:-}" ] ||
  gcloud storage buckets add-iam-policy-binding "gs://$OUTPUT_BUCKET" --member "$member" --role roles/storage.objectUser >/dev/null

echo "$ACCOUNT may work in gs://$BUCKET${INPUT_BUCKET:+, read gs://$INPUT_BUCKET}${OUTPUT_BUCKET:+, write gs://$OUTPUT_BUCKET}."
echo "Whoever launches needs roles/dataflow.developer in $PROJECT and roles/iam.serviceAccountUser on $ACCOUNT."
