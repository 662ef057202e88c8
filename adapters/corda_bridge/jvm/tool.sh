#!/bin/sh
# Runs a tool of the acceptance module once it is built: tool.sh NAME [ARGUMENT...]
#   Archive                  what archive.sh does
#   Bench [SECONDS]          transactions a warm worker verifies in a second, and the time to the first verdict
#   Example NODE [NODE]      money on a running network, by the client's library
#   Fixtures FOLDER          the golden vectors
#   HostileCorDapp SRC OUT   the hostile contract's jar and a transaction for each of its deeds
#   Workload FOLDER COUNT    that many issues of cash, and a move of each
set -eu
here=$(cd "$(dirname "$0")" && pwd)
name=$1
shift
case $name in
    Example) package=client ;;
    *) package=acceptance ;;
esac
exec java "@$here/opens.args" -Dservice.home="$here/service/target/service" \
    -cp "$here/acceptance/target/classes:$here/acceptance/target/lib/*" "coco.corda.$package.$name" "$@"
