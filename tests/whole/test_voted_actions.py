"""Actions through a real vote whose effects no other test of real nodes shows, and tokens of an issuer."""

from __future__ import annotations

import base64
import datetime
import http.client
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import jwt
import pytest
import trio
from cryptography.hazmat.primitives.serialization import Encoding

from coco_core.adapter import Load, WorkloadOptions
from coco_core.cli.consortium import GovernedNetwork, Organisation, action
from coco_core.cli.ledger import audit_service, chunks
from coco_core.cli.network import NetworkSpec, running
from coco_core.client import LoadSettings, pinned_context, run_load
from coco_core.crypto import Curve, PrivateKey, read_certificate, self_signed
from coco_core.kv import maps
from coco_core.ledger import AuditedEntry, LedgerAuditor
from coco_core.node import load, utc_now

pytestmark = pytest.mark.processes

PATIENCE_S = 120
ISSUER = "https://front.example"
PLATFORM = "Insecure_Virtual"
WORKLOAD = load("ethereum").workload(WorkloadOptions(kind="transfers", transactions=2, seed=3))


@asynccontextmanager
async def governed(folder: Path) -> AsyncIterator[tuple[GovernedNetwork, list[Organisation]]]:
    """Give a service of one node and two members that is open."""
    members = [Organisation.make(name, folder / "members") for name in "AB"]
    spec = NetworkSpec(
        folder=folder / "network", nodes=1, ledger="ethereum", engine="", config=WORKLOAD.config
    )
    spec.folder.mkdir()
    network = GovernedNetwork(spec, members, "unanimous", 1)
    with trio.fail_after(PATIENCE_S):
        async with running(network):
            for one in members:
                await network.acknowledge(one)
            await network.open_service(members)
            yield network, members


def asked(network: GovernedNetwork, method: str, *params: Any, token: str = "") -> tuple[int, Any]:
    """Return the status and the result of a question to the ledger's front end."""
    host, _, port = str(network.nodes[0].info["rpc"]["ethereum"]).rpartition(":")
    tls = pinned_context(network.service_certificate)
    connection = http.client.HTTPSConnection(host, int(port), context=tls, timeout=30)
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    connection.request("POST", "/", body, headers)
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    return answer.status, json.loads(said).get("result") if answer.status == http.HTTPStatus.OK else None


# ── tokens ───────────────────────────────────────────────────────────────────────────────────────


def jwks(kid: str, key: PrivateKey) -> dict[str, Any]:
    now = utc_now().replace(microsecond=0)
    pem = self_signed(key, kid, not_before=now, not_after=now + datetime.timedelta(days=1))
    der = read_certificate(pem).x509.public_bytes(Encoding.DER)
    return {"keys": [{"kid": kid, "x5c": [base64.b64encode(der).decode()]}]}


def token(key: PrivateKey, kid: str = "first", **claims: Any) -> str:
    said = {"iss": ISSUER, "sub": "carla", "exp": int(time.time()) + 600, **claims}
    return jwt.encode(said, key.key, algorithm="ES256", headers={"kid": kid})


async def test_a_front_ends_users_are_let_in_by_tokens_of_its_issuer(tmp_path: Path) -> None:
    first, second, stranger = (PrivateKey.generate(Curve.P256) for _ in range(3))
    async with governed(tmp_path) as (network, members):

        async def answered(word: str = "") -> int:
            status, _ = await trio.to_thread.run_sync(partial(asked, network, "eth_chainId", token=word))
            return status

        only = action("set_access_policy", name="ethereum", callers="participants")
        await network.decide(members, only, action("set_jwt_issuer", issuer=ISSUER))
        assert [await answered(), await answered(token(first))] == [401, 401]
        keys = "set_jwt_public_signing_keys"
        await network.decide(members, action(keys, issuer=ISSUER, jwks=jwks("first", first)))
        assert await answered(token(first)) == 200
        refused = {
            "expired": token(first, exp=int(time.time()) - 1),
            "not valid yet": token(first, nbf=int(time.time()) + 600),
            "of another issuer": token(first, iss="https://other.example"),
            "by another key": token(stranger),
            "by a key nobody registered": token(stranger, "other"),
            "changed": token(first)[:-4] + "AAAA",
            "none": "nonsense",
        }
        assert {what: await answered(word) for what, word in refused.items()} == dict.fromkeys(refused, 401)
        # Keys are replaced, and an issuer goes with all of them.
        await network.decide(members, action(keys, issuer=ISSUER, jwks=jwks("second", second)))
        assert [await answered(token(first)), await answered(token(second, "second"))] == [401, 200]
        await network.decide(members, action("remove_jwt_issuer", issuer=ISSUER))
        assert await answered(token(second, "second")) == 401


# ── other actions ────────────────────────────────────────────────────────────────────────────────


async def test_what_members_decide_is_in_the_tables_and_in_force(tmp_path: Path) -> None:
    async with governed(tmp_path) as (network, members):
        user = Organisation.make("U", tmp_path / "users")
        loads = WORKLOAD.loads(1)
        await sent(network, next(loads))
        before = await gas_limit(network)
        confidentiality = {"public": ["ethereum"], "note": "later"}
        decided = (
            action("set_member_data", member_id=members[1].member_id, member_data={"desk": 7}),
            action("set_user", cert=user.signer.certificate),
            action("set_user_data", user_id=user.member_id, user_data={"limit": 9}),
            action("set_platform", platform=PLATFORM, allowed_advisories=["ADV-2", "ADV-1"]),
            action("set_confidentiality_policy", policy=confidentiality),
            action("configure_adapter", name="ethereum", configuration={"gas_limit": before // 2}),
        )
        await network.decide(members, *decided)
        await sent(network, next(loads))
        assert await gas_limit(network) < before
        async with network.client() as client:
            member = await client.read(f"/gov/service/members/{members[1].member_id}")
            known = await client.read(f"/gov/service/users/{user.member_id}")
            policy = await client.read("/gov/service/join-policy")
        assert (member["memberData"], known["userData"]) == ({"desk": 7}, {"limit": 9})
        assert policy["platforms"][PLATFORM]["allowed_advisories"] == ["ADV-1", "ADV-2"]
        ledger, service_certificate = network.nodes[0].ledger_folder, network.service_certificate
    await audit_service(ledger, service_certificate)
    assert written(ledger, maps.CONFIDENTIALITY) == {maps.SINGLETON_KEY: confidentiality}
    assert written(ledger, maps.ADAPTER_CONFIGURATION) == {b"ethereum": {"gas_limit": before // 2}}


async def gas_limit(network: GovernedNetwork) -> int:
    """Return that of the newest block."""
    question = partial(asked, network, "eth_getBlockByNumber", "latest", False)
    _, block = await trio.to_thread.run_sync(question)
    return int(block["gasLimit"], 16)


async def sent(network: GovernedNetwork, one: Load) -> None:
    settings = LoadSettings(
        endpoints=network.endpoints,
        service_certificate=network.service_certificate,
        outstanding=1,
        per_request=1,
    )
    result = await run_load(settings, iter([one]), WORKLOAD.told, None)
    assert all(place is not None for place in result.places)


def written(ledger: Path, name: str) -> dict[bytes, Any]:
    """Return what a public map holds at the end of a ledger."""
    found: dict[bytes, Any] = {}

    def note(entry: AuditedEntry) -> None:
        for key, value in entry.writes.get(name, {}).items():
            found[key] = None if value is None else json.loads(value)

    auditor = LedgerAuditor(watch=note)
    for file, data in chunks(ledger):
        auditor.read_chunk(file, data)
    return found
