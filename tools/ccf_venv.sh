#!/bin/sh
# Make the environment of the independent ledger reader (the `ccf` package of the CCF project).
# usage: ccf_venv.sh DIRECTORY FALLBACK_PYTHON
#
# It has one of its own because its newest release needs Python 3.12 and its older one an older cbor2
# than ours: 6.0.28 cannot read even its own COSE messages with cbor2 6.
set -eu
directory=$1
fallback=$2
here=$(dirname "$0")
if python=$("$here/find_python.sh" 12 "$fallback" python3.12 python3.13 python3.14 python3); then
    packages="ccf==7.0.22"
else
    python=$fallback
    packages="ccf==6.0.28 cbor2<6"
fi
"$python" -m venv "$directory"
# shellcheck disable=SC2086 # two requirements are two words
"$directory/bin/python" -m pip install --quiet $packages
"$directory/bin/python" -c "import importlib.metadata as m; print('independent reader: ccf', m.version('ccf'))"
