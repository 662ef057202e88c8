"""Who may use a ledger of a real node: participants, whom they issued certificates, and nobody removed."""

from __future__ import annotations

import datetime
import json
import ssl
from pathlib import Path

import pytest
import trio

from coco_core.adapter import WorkloadOptions
from coco_core.cli.consortium import GovernedNetwork, Organisation, action
from coco_core.cli.network import NetworkSpec, running
from coco_core.client import Connection, pinned_context
from coco_core.crypto import Curve, PrivateKey, endorse, read_certificate, self_signed
from coco_core.node import load, utc_now

pytestmark = pytest.mark.processes

PATIENCE_S = 120
QUESTION = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}).encode()


async def answered(connection: Connection) -> int:
    """Return the HTTP status by which a question over ``connection`` is answered."""
    await connection.send("POST", "/", QUESTION)
    return (await connection.receive()).status


async def test_only_participants_are_let_in_and_none_that_was_removed(tmp_path: Path) -> None:
    now = utc_now().replace(microsecond=0)
    start, end = now - datetime.timedelta(hours=1), now + datetime.timedelta(days=1)
    key, bank, clerk = (PrivateKey.generate(Curve.P256) for _ in range(3))
    user = self_signed(key, "User", not_before=start, not_after=end)
    issuer = self_signed(bank, "Bank", not_before=start, not_after=end, ca=True)
    employee = endorse(clerk.public, "Clerk", bank, issuer, not_before=start, not_after=end)
    workload = load("ethereum").workload(WorkloadOptions(kind="transfers", transactions=1, seed=1))
    member = Organisation.make("A", tmp_path / "members")
    spec = NetworkSpec(
        folder=tmp_path / "network", nodes=1, ledger="ethereum", engine="", config=workload.config
    )
    spec.folder.mkdir()
    network = GovernedNetwork(spec, [member], "majority", 1)

    def presenting(name: str, pem: str, own: PrivateKey) -> ssl.SSLContext:
        path = tmp_path / f"{name}.pem"
        path.write_text(pem + own.to_pem())
        tls = pinned_context(network.service_certificate)
        tls.load_cert_chain(path)
        return tls

    with trio.fail_after(PATIENCE_S):
        async with running(network):
            await network.acknowledge(member)
            users = [action("set_user", cert=pem) for pem in (user, issuer)]
            only = action("set_access_policy", name="ethereum", callers="participants")
            await network.decide([member], *users, only)
            await network.open_service([member])
            rpc = network.nodes[0].info["rpc"]["ethereum"]
            known = presenting("user", user, key), presenting("employee", employee, clerk)
            async with (
                await Connection.open(rpc, pinned_context(network.service_certificate)) as anonymous,
                await Connection.open(rpc, known[0]) as one,
                await Connection.open(rpc, known[1]) as other,
            ):
                everybody = (anonymous, one, other)
                assert [await answered(who) for who in everybody] == [401, 200, 200]
                # Whoever was let in before is asked again with each request.
                for pem, expected in ((user, [401, 401, 200]), (issuer, [401, 401, 401])):
                    gone = action("remove_user", user_id=read_certificate(pem).fingerprint)
                    await network.decide([member], gone)
                    assert [await answered(who) for who in everybody] == expected
                await network.decide([member], users[0])
                assert [await answered(who) for who in everybody] == [401, 200, 401]
