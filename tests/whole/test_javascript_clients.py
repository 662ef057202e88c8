"""ethers and viem, installed from the registry as their users do, against a running network.

The scripts in ``clients`` check everything themselves; here they only get a network and an account.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

CLIENTS = Path(__file__).with_name("clients")
CACHE = Path(__file__).resolve().parents[2] / ".cache" / "javascript-clients"
NODE_MAJOR_MIN = 18
INSTALL_TIMEOUT_S = 300
RUN_TIMEOUT_S = 90


@pytest.fixture(scope="module")
def node() -> str:
    found = shutil.which("node")
    if found is None or shutil.which("npm") is None:
        pytest.skip("no Node.js with npm here: the JavaScript clients are not tried")
    version = subprocess.run([found, "--version"], capture_output=True, check=True, text=True).stdout
    if int(version.removeprefix("v").partition(".")[0]) < NODE_MAJOR_MIN:
        pytest.skip(
            f"Node.js {version.strip()} is older than {NODE_MAJOR_MIN}: the JavaScript clients want more"
        )
    return found


@pytest.fixture(scope="module")
def installed(node: str) -> Path:
    """The folder of the clients' packages, installed once and kept for later runs."""
    wanted = (CLIENTS / "package.json").read_text()
    done = CACHE / "installed.json"
    if not done.exists() or done.read_text() != wanted:
        CACHE.mkdir(parents=True, exist_ok=True)
        (CACHE / "package.json").write_text(wanted)
        npm = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"],
            capture_output=True,
            check=False,
            cwd=CACHE,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
        )
        if npm.returncode:
            pytest.skip(f"the JavaScript clients cannot be installed here: {npm.stderr.strip()[-200:]}")
        done.write_text(wanted)
    return CACHE


@pytest.mark.parametrize(("client", "account"), [("ethers", 4), ("viem", 5)])
def test_a_client_works_as_it_is(node, installed, up, keeper, client, account):
    # Modules are looked up beside the script, so it runs where the packages are.
    script = Path(shutil.copy(CLIENTS / f"{client}.mjs", installed))
    given = {
        "rpc": up["nodes"][0]["rpc"],
        "other": up["nodes"][-1]["rpc"],
        "privateKey": up["development"]["accounts"][account]["privateKey"],
        **keeper,
    }
    run = subprocess.run(
        [node, str(script)],
        capture_output=True,
        check=False,
        input=json.dumps(given),
        text=True,
        timeout=RUN_TIMEOUT_S,
    )
    assert run.returncode == 0, run.stderr
    saw = json.loads(run.stdout)
    assert saw["kept"] in (77, 78)
    assert saw["blockNumber"] > 0
