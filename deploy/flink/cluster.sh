#!/usr/bin/env bash
# A Flink cluster on this machine, each part a process of its own, and Beam beside it:
#
#   JobManager ── TaskManager 1, TaskManager 2      Flink
#   job server                                      Beam's: takes pipelines, gives Flink jobs
#   worker pool                                     Beam's: starts a Python worker for each TaskManager
#
#   deploy/flink/cluster.sh start                   all of it; TASKMANAGERS=2 SLOTS=1 to begin with
#   deploy/flink/cluster.sh start taskmanager-3     one more, or one that was killed
#   deploy/flink/cluster.sh status
#   deploy/flink/cluster.sh flags                   what `packshot run` needs to run there
#   deploy/flink/cluster.sh stop
#
# Settings from the environment: PYTHON (with Packshot installed), JAVA, TASKMANAGERS, SLOTS (of each), PARALLELISM,
# STATE (folder of logs and process ids), JARS, and PORT: that of Flink's pages, the others follow it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
PYTHON=${PYTHON:-$root/.venv/bin/python}
JAVA=${JAVA:-java}
TASKMANAGERS=${TASKMANAGERS:-2}
SLOTS=${SLOTS:-1}
PARALLELISM=${PARALLELISM:-$((TASKMANAGERS * SLOTS))}
STATE=${STATE:-$root/build/flink/cluster}
JARS=${JARS:-$root/build/flink/jars}
PORT=${PORT:-8081}
PATIENCE=${PATIENCE:-300} # seconds for a part to answer; on a machine with nothing else to do it takes ten
RPC_PORT=$((PORT + 1)) BLOB_PORT=$((PORT + 2)) JOB_PORT=$((PORT + 3)) ARTIFACT_PORT=$((PORT + 4)) POOL_PORT=$((PORT + 5))

# what Flink 1.19's own start scripts open to it of Java 17
java_opens=(
  --add-exports=java.base/sun.net.util=ALL-UNNAMED --add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED
  --add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED
  --add-opens=java.base/java.lang=ALL-UNNAMED --add-opens=java.base/java.net=ALL-UNNAMED
  --add-opens=java.base/java.io=ALL-UNNAMED --add-opens=java.base/java.nio=ALL-UNNAMED
  --add-opens=java.base/sun.nio.ch=ALL-UNNAMED --add-opens=java.base/java.lang.reflect=ALL-UNNAMED
  --add-opens=java.base/java.text=ALL-UNNAMED --add-opens=java.base/java.time=ALL-UNNAMED
  --add-opens=java.base/java.util=ALL-UNNAMED --add-opens=java.base/java.util.concurrent=ALL-UNNAMED
  --add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED
  --add-opens=java.base/java.util.concurrent.locks=ALL-UNNAMED
)

classpath() { # LIST...: the jars of these lists
  cat "$@" | cut -d' ' -f3 | sed "s,^,$JARS/," | paste -sd:
}

launch() { # NAME COMMAND...: in the background, its output in NAME.log
  local name=$1
  shift
  if running "$name"; then
    echo "$name runs already, process $(cat "$STATE/$name.pid")" >&2
    return 1
  fi
  setsid "$@" >>"$STATE/$name.log" 2>&1 </dev/null &
  echo $! >"$STATE/$name.pid"
}

running() { # NAME
  [ -f "$STATE/$1.pid" ] && kill -0 "$(cat "$STATE/$1.pid")" 2>/dev/null
}

flink() { # NAME HEAP CLASS FLAGS...
  local name=$1 heap=$2 class=$3
  shift 3
  launch "$name" "$JAVA" "-Xmx$heap" -XX:+UseSerialGC -Djava.net.preferIPv4Stack=true \
    "-Dlog4j.configurationFile=$here/conf/log4j.properties" "${java_opens[@]}" \
    -cp "$(classpath "$here/flink.sha256" "$here/job-server.sha256")" "org.apache.flink.runtime.$class" --configDir "$here/conf" \
    -Djobmanager.rpc.address=localhost "-Djobmanager.rpc.port=$RPC_PORT" "-Dblob.server.port=$BLOB_PORT" \
    "-Drest.address=localhost" "-Drest.port=$PORT" "-Dio.tmp.dirs=$STATE/tmp" "-Dweb.tmpdir=$STATE/tmp" "$@"
}

start_taskmanager() { # NAME
  flink "$1" 640m taskexecutor.TaskManagerRunner -Dtaskmanager.host=localhost \
    "-Dtaskmanager.numberOfTaskSlots=$SLOTS" "-Dtaskmanager.resource-id=$1-$(date +%s)"
}

answered() { # PORT
  (exec 3<>"/dev/tcp/localhost/$1") 2>/dev/null
}

registered() { # how many TaskManagers the JobManager knows
  curl --silent --fail "http://localhost:$PORT/overview" | sed -n 's/.*"taskmanagers":\([0-9]*\).*/\1/p'
}

await() { # SECONDS WHAT COMMAND...
  local left=$1 what=$2
  shift 2
  until "$@"; do
    left=$((left - 1))
    if [ "$left" -le 0 ]; then
      echo "$what is not there; see the logs in $STATE" >&2
      return 1
    fi
    sleep 1
  done
}

all_registered() { [ "$(registered)" = "$TASKMANAGERS" ]; }

start() {
  if running jobmanager; then
    echo "a cluster runs already in $STATE; stop it first" >&2
    exit 1
  fi
  command -v "$JAVA" >/dev/null || { echo "there is no $JAVA; install Java 11 or 17" >&2; exit 1; }
  "$here/download.sh" "$JARS"
  mkdir -p "$STATE/tmp" "$STATE/artifacts"
  rm -f "$STATE"/*.log
  flink jobmanager 512m entrypoint.StandaloneSessionClusterEntrypoint
  for number in $(seq "$TASKMANAGERS"); do start_taskmanager "taskmanager-$number"; done
  # the pool starts its workers by the name `python`; a task slot stands for a core, so no library takes several
  launch pool env "PATH=$(dirname "$PYTHON"):$PATH" OMP_NUM_THREADS=1 OPENCV_FOR_THREADS_NUM=1 \
    TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 "$PYTHON" "$here/worker_pool.py" --service_port "$POOL_PORT"
  launch job-server "$JAVA" -Xmx512m "-Dlog4j.configurationFile=$here/conf/log4j.properties" "${java_opens[@]}" \
    -cp "$(classpath "$here/flink.sha256" "$here/job-server.sha256")" \
    org.apache.beam.runners.flink.FlinkJobServerDriver --flink-master "localhost:$PORT" \
    --job-port "$JOB_PORT" --artifact-port "$ARTIFACT_PORT" --expansion-port 0 --artifacts-dir "$STATE/artifacts"
  await "$PATIENCE" "a TaskManager" all_registered
  await "$PATIENCE" "the job server" answered "$JOB_PORT"
  await "$PATIENCE" "the worker pool" answered "$POOL_PORT"
  status
}

status() {
  for file in "$STATE"/*.pid; do
    [ -e "$file" ] || { echo "no cluster in $STATE" && return; }
    name=$(basename "$file" .pid)
    if running "$name"; then echo "$name: process $(cat "$file")"; else echo "$name: dead"; fi
  done
  echo "Flink's pages: http://localhost:$PORT, $(registered) TaskManagers"
}

stop() {
  for file in "$STATE"/*.pid; do
    [ -e "$file" ] || continue
    kill -- "-$(cat "$file")" 2>/dev/null || true # each leads a process group: the pool's workers go with it
  done
  for file in "$STATE"/*.pid; do
    [ -e "$file" ] || continue
    await 20 "the end of $(basename "$file" .pid)" not_running "$(basename "$file" .pid)" ||
      kill -KILL -- "-$(cat "$file")" 2>/dev/null || true
    rm -f "$file"
  done
  rm -rf "$STATE/tmp" "$STATE/artifacts"
}

not_running() { ! running "$1"; }

case "${1:-} ${2:-}" in
  "start ") start ;;
  "start taskmanager-"*) start_taskmanager "$2" ;;
  "status ") status ;;
  "flags ")
    echo "--runner=FlinkRunner --job_endpoint=localhost:$JOB_PORT --parallelism=$PARALLELISM" \
      "--environment_type=EXTERNAL --environment_config=localhost:$POOL_PORT --environment_cache_millis=60000"
    ;;
  "stop ") stop ;;
  *)
    sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
