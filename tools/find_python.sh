#!/bin/sh
# Print the first Python of at least version 3.MINOR that really runs, best tested versions first.
# usage: find_python.sh MINOR [candidate ...]; exit status 1 and no output when there is none.
minor=$1
shift
[ $# -gt 0 ] || set -- python3 python3.13 python3.12 python3.11 python3.14 python
for candidate in "$@"; do
    # A version manager may offer a name that does not run: only an interpreter that answers counts.
    if "$candidate" -c "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, $minor))" >/dev/null 2>&1; then
        command -v "$candidate"
        exit 0
    fi
done
exit 1
