#!/usr/bin/env bash
# Downloads Flink and Beam's Flink job server from Maven Central, as pinned in flink.sha256 and job-server.sha256.
#
#   deploy/flink/download.sh [FOLDER]        default: build/flink/jars
#
# The lists were resolved from pom.xml, whose profile job-server adds what only the job server needs:
#   mvn -f deploy/flink/pom.xml [-P job-server] dependency:copy-dependencies -DincludeScope=runtime \
#     -Dmdep.useRepositoryLayout=true -DoutputDirectory=FOLDER
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
jars=${1:-$here/../../build/flink/jars}
maven=${MAVEN_CENTRAL:-https://repo1.maven.org/maven2}

mkdir -p "$jars"
cd "$jars"
cat "$here/flink.sha256" "$here/job-server.sha256" >wanted
# a jar that is not there, or not as pinned, is fetched again
sha256sum --check --quiet wanted 2>/dev/null | sed -n 's/: FAILED.*//p' >missing || true
if [ -s missing ]; then
  echo "fetching $(wc -l <missing) of $(wc -l <wanted) jars from $maven"
  while read -r jar; do
    printf 'url = "%s/%s"\noutput = "%s"\n' "$maven" "$jar" "$jar"
  done <missing >urls
  curl --config urls --fail --fail-early --no-progress-meter --create-dirs --parallel --parallel-max 8 \
    --retry 3 --connect-timeout 20
fi
sha256sum --check --quiet wanted
rm -f missing urls
