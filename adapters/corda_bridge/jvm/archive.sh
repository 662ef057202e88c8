#!/bin/sh
# Writes target/service/coco-corda-service.jsa: the worker's classes, read and checked once for all its starts.
# A JVM that cannot use it (another version, other jars) starts without it.
set -eu
cd "$(dirname "$0")"
exec ./tool.sh Archive
