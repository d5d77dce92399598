#!/usr/bin/env bash
# Builds Beam's Prism runner from its Go module, which Go checks against the public checksum database.
#
#   deploy/prism/install.sh [FOLDER]       default: build/prism; needs Go 1.26, and some minutes the first time
#   packshot run --runner PrismRunner --prism_location build/prism/prism ...
set -euo pipefail

version=v2.77.0 # as in constraints.txt
sum=h1:RsC61pHEvtySEHAURQyP/+CVOJm/hy5hewuG9JF0+Ow=
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=${1:-$root/build/prism}

command -v go >/dev/null || { echo "there is no go; install Go 1.26 or newer" >&2; exit 1; }
pinned() { [ -x "$folder/prism" ] && go version -m "$folder/prism" | grep -qF "$version"$'\t'"$sum"; }
if ! pinned; then
  mkdir -p "$folder"
  GOBIN=$(cd "$folder" && pwd) go install "github.com/apache/beam/sdks/v2/go/cmd/prism@$version"
  pinned || { echo "$folder/prism was not built from the pinned module $version $sum" >&2; exit 1; }
fi
echo "$folder/prism"
