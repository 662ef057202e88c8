"""CCF's own signing tools, which we did not write, sign what a real node accepts."""

from __future__ import annotations

import base64
import datetime
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from coco_core.cli.asking import now_s
from coco_core.cli.consortium import GovernedNetwork, Organisation, action
from coco_core.cli.member_keys import make_member
from coco_core.cli.network import NetworkSpec, running
from coco_core.crypto import Curve
from coco_core.governance import MemberMessage
from coco_core.node import load

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120


@pytest.fixture(scope="session")
def tools() -> Path:
    named = os.environ.get("COCO_CCF_PYTHON")
    folder = Path(named).parent if named else ROOT / ".venv-ccf" / "bin"
    if not (folder / "ccf_cose_sign1").exists():
        pytest.skip(f"no ccf_cose_sign1 in {folder}; set COCO_CCF_PYTHON")
    return folder


DIGESTS = {"secp256r1": SHA256(), "secp384r1": SHA384(), "secp521r1": SHA512()}


@attrs.frozen
class Desk:
    """Where a member signs with CCF's tools."""

    tools: Path
    member: Organisation
    folder: Path

    def sign(self, message: MemberMessage, created_at_s: int) -> bytes:
        """Sign with the key in a file."""
        return self._run("ccf_cose_sign1", message, created_at_s, "--signing-key", self.member.files.key)

    def sign_elsewhere(self, message: MemberMessage, created_at_s: int) -> bytes:
        """Have the tools make a digest, sign that as a key vault would, and have them make the request."""
        prepared = json.loads(self._run("ccf_cose_sign1_prepare", message, created_at_s))
        key = load_pem_private_key(self.member.files.key.read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        digest = base64.b64decode(prepared["value"])
        r, s = utils.decode_dss_signature(
            key.sign(digest, ec.ECDSA(utils.Prehashed(DIGESTS[key.curve.name])))
        )
        size = (key.curve.key_size + 7) // 8
        raw = r.to_bytes(size, "big") + s.to_bytes(size, "big")
        signature = self.folder / "signature.json"
        signature.write_text(json.dumps({"value": base64.urlsafe_b64encode(raw).decode()}))
        return self._run("ccf_cose_sign1_finish", message, created_at_s, "--signature", signature)

    def _run(self, tool: str, message: MemberMessage, created_at_s: int, *more: object) -> bytes:
        content = self.folder / "content"
        content.write_bytes(message.payload)
        at = datetime.datetime.fromtimestamp(created_at_s, datetime.UTC).isoformat()
        words: list[object] = ["--content", content, "--signing-cert", self.member.files.certificate]
        words += ["--ccf-gov-msg-type", message.kind, "--ccf-gov-msg-created_at", at, *more]
        if message.proposal_id is not None:
            words += ["--ccf-gov-msg-proposal_id", message.proposal_id]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [self.tools / tool, *map(str, words)], capture_output=True, check=False, env=environment
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.mark.parametrize("curve", list(Curve), ids=lambda curve: curve.value)
async def test_requests_signed_by_ccfs_tools_are_taken(tools: Path, tmp_path: Path, curve: Curve) -> None:
    member = Organisation("A", make_member(tmp_path / "members", "A", curve))
    desk = Desk(tools, member, tmp_path)
    config = load("ethereum").development().config
    spec = NetworkSpec(folder=tmp_path / "network", nodes=1, ledger="ethereum", engine="", config=config)
    spec.folder.mkdir()
    network = GovernedNetwork(spec, [member], "majority", 1)
    created_s = now_s()

    async def post(sign: Callable[[MemberMessage, int], bytes], message: MemberMessage) -> dict[str, Any]:
        nonlocal created_s
        created_s += 1
        async with network.client() as client:
            answer: dict[str, Any] = await client.post(message.path, sign(message, created_s))
        return answer

    with trio.fail_after(PATIENCE_S):
        async with running(network):
            name = member.member_id
            digest = (await post(desk.sign, MemberMessage.state_digest(name)))["stateDigest"]
            await post(desk.sign, MemberMessage.acknowledgement(name, digest))
            asked = MemberMessage.proposal([action("set_user", cert=member.signer.certificate)])
            for sign in (desk.sign, desk.sign_elsewhere):
                said = await post(sign, asked)
                assert said["proposalState"] == "Open"
                ballot = MemberMessage.ballot(name, said["proposalId"], True)
                assert (await post(sign, ballot))["proposalState"] == "Accepted"
                said = await post(sign, asked)
                withdrawal = MemberMessage.withdrawal(said["proposalId"])
                assert (await post(sign, withdrawal))["proposalState"] == "Withdrawn"
