#!/bin/sh
# Print the first Python of at least version 3.MINOR that really runs and can make environments.
# usage: find_python.sh MINOR [candidate ...]; exit status 1 and no output when there is none.
minor=$1
shift
[ $# -gt 0 ] || set -- python3 python3.13 python3.12 python3.11 python3.14 python
# A version manager may offer names it has not switched on: its versions are tried last, by path.
for candidate in "$@" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python3; do
    if "$candidate" -c "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, $minor))" >/dev/null 2>&1; then
        "$candidate" -c "import sys; print(sys.executable)"
        exit 0
    fi
done
exit 1
