#!/bin/sh
# Build the processors that Sawtooth itself published in Go, unmodified: integer key, and noughts and crosses.
# usage: sawtooth_go.sh DIRECTORY
#
# What is missing is said in one line and nothing is built: the tests that want them skip.
set -eu
mkdir -p "$1"
directory=$(cd "$1" && pwd)
version=v0.1.4
module=github.com/hyperledger/sawtooth-sdk-go

missing=
go version >/dev/null 2>&1 || missing="$missing go"
cc --version >/dev/null 2>&1 || missing="$missing a-C-compiler"
pkg-config --exists libzmq 2>/dev/null || missing="$missing libzmq-with-headers"
rm -f "$directory/.ready"
if [ -n "$missing" ]; then
    echo "note: Sawtooth's processors in Go are not built, for want of:$missing"
    exit 0
fi
# A module of our own that wants theirs: 'go install MODULE@VERSION' would ask for a list of its versions.
mkdir -p "$directory/build"
cd "$directory/build"
printf 'module coco/processors\n\ngo 1.21\n\nrequire %s %s\n' "$module" "$version" >go.mod
for processor in intkey xo; do
    # What the C compiler warns of is the SDK's own.
    CGO_CFLAGS="-O2 -w" GOFLAGS=-mod=mod \
        go build -o "$directory/bin/$processor-tp-go" "$module/examples/${processor}_go/src/sawtooth_$processor"
done
touch "$directory/.ready"
echo "Sawtooth processors in Go: intkey and xo of the SDK $version"
