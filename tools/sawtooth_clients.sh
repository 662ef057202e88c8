#!/bin/sh
# Install the published Sawtooth SDKs beside our example processors: Python in an environment of its own,
# JavaScript in a folder of its own. Neither is ever part of ours.
# usage: sawtooth_clients.sh PYTHON_DIRECTORY JAVASCRIPT_DIRECTORY PYTHON
#
# What cannot be installed is said in one line and left out: the tests that want it skip. `make -B` tries again.
set -eu
environment=$1
javascript=$2
python=$3
examples=$(cd "$(dirname "$0")/../adapters/sawtooth/examples" && pwd)

# The SDK's own messages (protobuf of before 4) and asyncio of before 3.11 need what the .pth file brings.
install_python() {
    "$python" -m venv "$environment" &&
        "$environment/bin/python" -m pip install --quiet -r "$examples/python/requirements.txt" &&
        packages=$("$environment/bin/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))") &&
        cp "$examples/python/sawtooth_sdk_today.py" "$packages/" &&
        echo "import sawtooth_sdk_today" >"$packages/sawtooth_sdk_today.pth" &&
        "$environment/bin/python" -c "import sawtooth_sdk.processor.core"
}

install_javascript() {
    rm -rf "$javascript" && mkdir -p "$javascript" &&
        cp -R "$examples/javascript/package.json" "$examples/javascript/zeromq" "$javascript/" &&
        (
            cd "$javascript" &&
                npm install --no-audit --no-fund --ignore-scripts --silent &&
                node -e "require('sawtooth-sdk/processor')"
        )
}

rm -f "$environment/.ready"
if install_python; then
    touch "$environment/.ready"
    echo "Sawtooth processors in Python: $("$environment/bin/python" -m pip freeze --quiet | grep -i '^sawtooth-sdk=')"
else
    echo "note: no Python SDK of Sawtooth here; tests with its processors are skipped"
fi
if ! npm --version >/dev/null 2>&1; then
    echo "note: no Node.js with npm here; tests with processors in JavaScript are skipped"
elif install_javascript; then
    touch "$javascript/.ready"
    echo "Sawtooth processors in JavaScript: sawtooth-sdk $(cd "$javascript" && node -p "require('sawtooth-sdk/package.json').version")"
else
    rm -f "$javascript/.ready"
    echo "note: no JavaScript SDK of Sawtooth here; tests with its processors are skipped"
fi
