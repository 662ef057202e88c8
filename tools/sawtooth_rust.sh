#!/bin/sh
# Build the processors that Sawtooth itself published in Rust, unmodified: integer key, and noughts and crosses.
# usage: sawtooth_rust.sh DIRECTORY
#
# What is missing is said in one line and nothing is built: the tests that want them skip.
set -eu
directory=$1
version=0.5.2

missing=
cargo --version >/dev/null 2>&1 || missing="$missing cargo"
pkg-config --exists libzmq 2>/dev/null || missing="$missing libzmq-with-headers"
protoc --version >/dev/null 2>&1 || missing="$missing protoc"
rm -f "$directory/.ready"
if [ -n "$missing" ]; then
    echo "note: Sawtooth's processors in Rust are not built, for want of:$missing"
    exit 0
fi
for processor in sawtooth-intkey sawtooth-xo; do
    cargo install --quiet --locked --version "$version" --root "$directory" "$processor" ||
        cargo install --quiet --version "$version" --root "$directory" "$processor"
done
touch "$directory/.ready"
echo "Sawtooth processors in Rust: sawtooth-intkey $version, sawtooth-xo $version"
