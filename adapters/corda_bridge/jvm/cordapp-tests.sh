#!/bin/sh
# Runs a CorDapp's own contract tests, each of their transactions judged by the worker too:
#   cordapp-tests.sh [--beside JAR]... [--library JAR]... FOLDER
#   cordapp-tests.sh [--beside JAR]... [--library JAR]... --jar CONTRACTS --tests TESTS
# FOLDER holds src/main and src/test, each with java or kotlin in it. The first run fetches Corda's own test libraries.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
home=$here/cordapp-tests/target
if ! [ -e "$home/agent.jar" ]; then
    (cd "$here" && mvn -q -B -DskipTests -Pcordapp-tests -pl cordapp-tests -am package)
fi
exec java -Dcordapp-tests.home="$home" -Dservice.home="$here/service/target/service" \
    -cp "$home/agent.jar" coco.corda.cordapp.Main "$@"
