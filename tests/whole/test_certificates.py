"""Certificates of real nodes run out and are renewed by vote, while clients, peers and joiners go on."""

from __future__ import annotations

import datetime
import json
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from coco_core.adapter import WorkloadOptions
from coco_core.attestation.certified import EXTENSION_OID
from coco_core.cli.consortium import GovernedNetwork, Organisation, action
from coco_core.cli.ledger import audit_service
from coco_core.cli.member_keys import MemberFiles
from coco_core.cli.network import NetworkSpec, running
from coco_core.client import (
    Connection,
    ConnectionLostError,
    LoadSettings,
    NodeClient,
    RequestRefusedError,
    fetch_certificate,
    pinned_context,
    run_load,
)
from coco_core.crypto import Certificate, read_certificate, renewed, service_id
from coco_core.governance import MemberMessage, check_shares_dealt
from coco_core.ledger import verify_receipt
from coco_core.node import load, utc_now

pytestmark = pytest.mark.processes

PATIENCE_S = 150
RUNS_OUT_IN_S = 8


@asynccontextmanager
async def opened(folder: Path, names: str) -> AsyncIterator[tuple[GovernedNetwork, list[Organisation], str]]:
    """Give an open service, a node for each organisation, and a committed transaction's ID."""
    workload = load("ethereum").workload(WorkloadOptions(kind="transfers", transactions=10, seed=3))
    members = [Organisation.make(name, folder / "members") for name in names]
    spec = NetworkSpec(
        folder=folder / "network", nodes=1, ledger="ethereum", engine="", config=workload.config
    )
    spec.folder.mkdir()
    network = GovernedNetwork(spec, members[:1], "majority", 1)
    with trio.fail_after(PATIENCE_S):
        async with running(network):
            await network.acknowledge(members[0])
            for count, member in enumerate(members[1:], 1):
                await network.admit_member(members[:count], member)
                await network.admit_node(members[: count + 1], member)
            await network.open_service(members)
            settings = LoadSettings(
                endpoints=network.endpoints,
                service_certificate=network.service_certificate,
                outstanding=10,
                per_request=10,
            )
            result = await run_load(settings, workload.loads(10), workload.told, None)
            yield network, members, str(result.places[0])


def renewal(name: str, start: datetime.datetime, days: int, **args: Any) -> Any:
    return action(
        f"set_{name}_certificate_validity", valid_from=start.isoformat(), validity_period_days=days, **args
    )


async def shown(address: str, tls: ssl.SSLContext) -> Certificate | None:
    """Return the certificate a client that believes ``tls`` is shown; None when it refuses it."""
    try:
        return await fetch_certificate(address, tls)
    except ConnectionLostError as error:
        if "expired" not in str(error):
            raise
        return None


async def until_shown(address: str, tls: ssl.SSLContext, fingerprint: str) -> Certificate:
    """Return what is shown once it is another certificate than that one."""
    while True:
        found = await shown(address, tls)
        if found is not None and found.fingerprint != fingerprint:
            return found


async def test_certificates_run_out_and_are_renewed(tmp_path: Path) -> None:
    async with opened(tmp_path, "ABC") as (network, members, place):
        old = network.service_certificate
        tls = pinned_context(old)
        fronts = [network.endpoints[2].admin, network.endpoints[2].rpc]
        before = [await fetch_certificate(one, tls) for one in fronts]
        async with await Connection.open(fronts[0], tls) as kept:
            receipts = [await NodeClient(kept).receipt(place, cose=cose) for cose in (True, False)]
            # Node 2 gets a certificate that runs out in a moment.
            end = utc_now() + datetime.timedelta(seconds=RUNS_OUT_IN_S)
            name = str(network.nodes[2].info["node_id"])
            short = renewal("node", end - datetime.timedelta(days=1), 1, node_id=name)
            await network.decide(members, short)
            brief = [await until_shown(one, tls, before[0].fingerprint) for one in fronts]
            assert [one.public_key for one in brief] == [before[0].public_key] * 2
            assert brief[0].extension(EXTENSION_OID) == before[0].extension(EXTENSION_OID) is not None
            for one in fronts:
                while await shown(one, tls) is not None:
                    pass
            # Who is connected goes on, and so do the nodes: one is gone, and the majority needs this one.
            assert (await NodeClient(kept).health())["state"] == "open"
            network.kill(1)
            await network.nodes[1].ended.wait()
            await network.decide(
                members, renewal("service", utc_now(), 40), renewal("all_nodes", utc_now(), 20)
            )
            after = [await until_shown(one, tls, brief[0].fingerprint) for one in fronts]
            assert {one.not_after - one.not_before for one in after} == {
                datetime.timedelta(days=20, seconds=-1)
            }
            told = await NodeClient(kept).network()
            new = str(told["service_certificate"])
            until = int(after[0].not_after.timestamp() * 1000)
            assert told["nodes"][name]["certificate_until_ms"] == until
            assert (await NodeClient(kept).health())["state"] == "open"
        assert new != old
        assert service_id(new) == service_id(old)
        assert read_certificate(new).not_after - read_certificate(new).not_before < datetime.timedelta(
            days=40
        )
        # With either certificate of the service: clients, receipts of before, joiners, auditors.
        for pinned in (old, new):
            assert await shown(fronts[1], pinned_context(pinned)) is not None
            for receipt in receipts:
                assert str(verify_receipt(receipt, pinned).txid) == place
        await network.admit_node(members, members[1])
        ledger = network.nodes[2].ledger_folder
    for pinned in (old, new):
        report, governance = await audit_service(ledger, pinned)
        assert report.recoveries == 0
        assert governance.proposals["Accepted"] >= 2


def recertified(member: Organisation, until: datetime.datetime) -> tuple[Organisation, Any]:
    """Return the member with a certificate over its key until then, and the action that makes it so."""
    files = MemberFiles(member.files.folder.with_name(f"{member.name}-{until:%Y%m%d%H%M%S}"))
    shutil.copytree(member.files.folder, files.folder)
    start = until - datetime.timedelta(days=30)
    old = read_certificate(member.signer.certificate)
    pem = renewed(old, member.signer.key, not_before=start, not_after=until)
    files.certificate.write_text(pem)
    args = {"member_id": member.member_id, "cert": pem}
    return Organisation(member.name, files), action("renew_member_certificate", **args)


async def refusal(network: GovernedNetwork, member: Organisation, message: MemberMessage) -> str:
    """Return the code by which a request is refused."""
    with pytest.raises(RequestRefusedError) as refused:
        await network.post(member, message)
    return refused.value.code


async def test_members_go_on_though_the_certificates_of_all_ran_out(tmp_path: Path) -> None:
    rekey, nothing = action("trigger_ledger_rekey"), MemberMessage.withdrawal("0" * 64)
    async with opened(tmp_path, "AB") as (network, members, _):
        end = utc_now().replace(microsecond=0) + datetime.timedelta(seconds=RUNS_OUT_IN_S)
        brief = [recertified(one, end) for one in members]
        await network.decide(members, *(one for _, one in brief))
        expired = [one for one, _ in brief]
        while utc_now() <= end:
            # Each signed request is dated a second later than the one before: many would be of the future.
            async with network.client() as client:
                await client.read_bytes("/node/network")
        while await refusal(network, expired[0], nothing) != "certificate-expired":
            pass
        async with network.client() as client:
            told = json.loads(await client.read_bytes("/node/network"))["members"]
        until_ms = int(end.timestamp() * 1000)
        assert {name: one["certificate_until_ms"] for name, one in told.items()} == {
            one.member_id: until_ms for one in expired
        }
        lasting = [recertified(one, end + datetime.timedelta(days=29)) for one in expired]
        for actions in ([rekey], [lasting[0][1], rekey]):
            proposal = MemberMessage.proposal(actions)
            assert await refusal(network, expired[0], proposal) == "certificate-expired"
        await network.decide(expired, *(one for _, one in lasting))
        after = [one for one, _ in lasting]
        await network.decide(after, rekey)
        async with network.client() as client:
            check_shares_dealt(await client.recovery_state())
        ledger, service_certificate = network.nodes[0].ledger_folder, network.service_certificate
    _, governance = await audit_service(ledger, service_certificate)
    assert governance.members == {one.member_id: "Active" for one in after}
