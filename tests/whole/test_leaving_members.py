"""What a member that left a real service can still open with the share it kept: nothing written since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import pytest
import trio

from coco_core.adapter import WorkloadOptions
from coco_core.cli.consortium import GovernedNetwork, Organisation, action
from coco_core.cli.network import NetworkSpec, running
from coco_core.client import LoadSettings, run_load
from coco_core.errors import IntegrityError, MemberError
from coco_core.governance import (
    RecoveryKey,
    check_share,
    check_shares_dealt,
    epoch_writes,
    open_share,
    read_epochs,
    read_recovery,
    recover_secrets,
)
from coco_core.kv import View
from coco_core.node import load

pytestmark = pytest.mark.processes

PATIENCE_S = 120
PER_REQUEST = 5


def recovery_key(view: View) -> RecoveryKey:
    key = read_recovery(view)
    assert key is not None
    return key


def opened(view: View, members: Sequence[Organisation]) -> Mapping[str, bytes]:
    """Return the shares that the members of ``members`` open at home, by member ID."""
    key = recovery_key(view)
    return {
        one.member_id: open_share(
            key.members[one.member_id].encrypted_share, one.files.encryption_key.read_text()
        )
        for one in members
    }


async def test_share_of_a_member_that_left_opens_nothing_written_since(tmp_path: Path) -> None:
    workload = load("ethereum").workload(WorkloadOptions(kind="transfers", transactions=20, seed=3))
    a, b, c = (Organisation.make(name, tmp_path / "members") for name in "ABC")
    spec = NetworkSpec(
        folder=tmp_path / "network", nodes=1, ledger="ethereum", engine="", config=workload.config
    )
    spec.folder.mkdir()
    network = GovernedNetwork(spec, [a], "majority", 1)
    with trio.fail_after(PATIENCE_S):
        async with running(network):
            await network.acknowledge(a)
            await network.admit_member([a], b)
            await network.admit_member([a, b], c)
            await network.decide([a, b], action("set_recovery_threshold", recovery_threshold=2))
            await network.open_service([a, b])
            async with network.client() as client:
                before = await client.recovery_state()
                await network.decide([a, b], action("remove_member", member_id=c.member_id))
                after = await client.recovery_state()
            settings = LoadSettings(
                endpoints=network.endpoints,
                service_certificate=network.service_certificate,
                outstanding=PER_REQUEST,
                per_request=PER_REQUEST,
            )
            sent = await run_load(settings, islice(workload.loads(PER_REQUEST), 1), workload.told, None)

    # Until it left, its share was as good as any.
    kept = opened(before, [b, c])
    (first,) = recover_secrets(before, kept)
    # The decision by which it left dealt anew, among who stays, and began an epoch.
    key = recovery_key(after)
    check_shares_dealt(after)
    assert key.members.keys() == {a.member_id, b.member_id}
    assert key.public_key != recovery_key(before).public_key
    _, epoch = read_epochs(after)
    assert sent.places
    assert all(place is not None and place.seqno >= epoch.first_seqno for place in sent.places)
    # Its share is nobody's, alone or beside one that was dealt since.
    with pytest.raises(MemberError, match="holds no share"):
        check_share(after, c.member_id, kept[c.member_id])
    with pytest.raises(MemberError, match="holds no share"):
        recover_secrets(after, {**opened(after, [b]), c.member_id: kept[c.member_id]})
    with pytest.raises(MemberError, match="not the share that was dealt"):
        check_share(after, b.member_id, kept[b.member_id])
    # Nor does the whole key of before open the new epoch, if all who held it conspire.
    conspiracy = before.over(epoch_writes([epoch]))
    with pytest.raises(IntegrityError, match="epoch 2"):
        recover_secrets(conspiracy, opened(before, [a, b, c]))
    # Who stays opens both.
    assert recover_secrets(after, opened(after, [a, b]))[0] == first
    assert [seqno for seqno, _ in recover_secrets(after, opened(after, [a, b]))] == [1, epoch.first_seqno]
