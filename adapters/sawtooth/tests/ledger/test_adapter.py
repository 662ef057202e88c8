"""The adapter: batches are whole, in order and once; what is refused leaves no trace; blocks chain."""

from __future__ import annotations

import cbor2
import pytest

from coco_core.adapter import Applied, Batch, Deferred, Rejected, Request
from coco_core.errors import IntegrityError
from coco_sawtooth import limits, messages, records
from coco_sawtooth.adapter import SawtoothAdapter
from coco_sawtooth.blocks import block_claims
from coco_sawtooth.execution import Invalid, Unavailable, Valid
from coco_sawtooth.merkle import state_root
from coco_sawtooth.records import NO_BLOCK
from coco_sawtooth.signing import verify
from coco_sawtooth.testing import Intkey, intkey_address, intkey_transaction


async def test_a_batch_becomes_a_block(world):
    before = world.head
    transaction = intkey_transaction(world.alice, "set", "n", 7)
    batch = world.alice.batch(transaction)
    [applied] = await world.applied(batch)
    assert world.number("n") == 7
    block = world.head
    assert (block.number, block.header.previous_block_id) == (before.number + 1, before.id)
    assert list(block.header.batch_ids) == [batch.header_signature]
    assert block.header.state_root_hash == state_root(world.state())
    verify(block.id, block.header_bytes, block.header.signer_public_key)
    assert applied.receipt == bytes.fromhex(block.id)
    assert applied.claims == block_claims(block)


async def test_what_is_committed_is_found_again(world):
    first, second = (intkey_transaction(world.alice, "set", name, 1) for name in "ab")
    batch = world.alice.batch(first, second)
    await world.applied(batch)
    view, block = world.store.view(), world.head
    assert records.raw_batch(view, batch.header_signature) == batch.SerializeToString()
    assert records.number_of_batch(view, batch.header_signature) == block.number
    assert records.place_of_transaction(view, second.header_signature) == (batch.header_signature, 1)
    assert records.transaction(view, second.header_signature) == second
    assert records.block_by_id(view, block.id) == block
    assert records.block_by_root(view, block.header.state_root_hash) == block
    assert list(records.whole_block(view, block).batches) == [batch]
    assert [each.transaction_id for each in records.receipts_of_block(view, block)] == [
        first.header_signature,
        second.header_signature,
    ]
    for reader in (records.raw_batch, records.transaction, records.block_by_id, records.raw_receipt):
        assert reader(view, "ab" * 64) is None
        assert reader(view, "no id") is None
    assert records.block_by_root(view, "zz") is None


async def test_a_receipt_tells_what_changed_and_happened(world):
    transaction = intkey_transaction(world.alice, "set", "n", 7)
    await world.applied(world.alice.batch(transaction))
    receipt = world.receipt(transaction)
    [change] = receipt.state_changes
    assert (change.address, change.type) == (intkey_address("n"), messages.StateChange.SET)
    assert change.value == world.value(intkey_address("n"))
    assert [event.event_type for event in receipt.events] == ["intkey/changed"]
    assert receipt.transaction_id == transaction.header_signature


async def test_a_batch_takes_effect_as_a_whole_or_not_at_all(world):
    good, bad = intkey_transaction(world.alice, "set", "n", 7), intkey_transaction(world.alice, "inc", "m", 1)
    batch = world.alice.batch(good, bad)
    [outcome] = await world.execute(batch)
    assert isinstance(outcome, Rejected)
    assert outcome.code == "invalid-transaction"
    status = messages.ClientBatchStatus.FromString(outcome.data)
    assert (status.batch_id, status.status) == (batch.header_signature, messages.ClientBatchStatus.INVALID)
    [told] = status.invalid_transactions
    assert told.transaction_id == bad.header_signature
    assert "not in state" in told.message
    assert (world.number("n"), world.head.number) == (None, 0)
    # The same transaction may come again in another batch: it was never committed.
    await world.applied(world.alice.batch(good))


async def test_batches_of_one_list_are_independent_and_in_order(world):
    outcomes = await world.execute(
        world.alice.batch(intkey_transaction(world.alice, "set", "n", 1)),
        world.bob.batch(intkey_transaction(world.bob, "inc", "m", 1)),
        world.bob.batch(intkey_transaction(world.bob, "inc", "n", 1)),
        b"\xff",
    )
    assert [type(each) for each in outcomes] == [Applied, Rejected, Applied, Rejected]
    assert (world.number("n"), world.head.number) == (2, 2)
    assert outcomes[3].code == "invalid-batch"


async def test_nothing_is_committed_twice(world):
    transaction = intkey_transaction(world.alice, "set", "n", 1)
    batch = world.alice.batch(transaction)
    first, second = await world.execute(batch, batch)
    assert isinstance(first, Applied)
    assert second.code == "duplicate-batch"
    assert (await world.refused(batch))[0] == "duplicate-batch"
    other = world.alice.batch(transaction, intkey_transaction(world.alice, "inc", "n", 1))
    assert (await world.refused(other))[0] == "duplicate-transaction"
    assert world.number("n") == 1


async def test_one_transaction_in_two_batches_at_once_is_committed_once(world):
    transaction = intkey_transaction(world.alice, "set", "n", 1)
    outcomes = await world.execute(
        world.alice.batch(transaction),
        world.alice.batch(transaction, intkey_transaction(world.alice, "set", "m", 1)),
    )
    assert isinstance(outcomes[0], Applied)
    assert outcomes[1].code == "duplicate-transaction"


async def test_dependencies_are_committed_before(world):
    first = intkey_transaction(world.alice, "set", "n", 1)
    dependent = intkey_transaction(world.bob, "set", "m", 1, dependencies=[first.header_signature])
    code, message = await world.refused(world.bob.batch(dependent))
    assert code == "missing-dependency"
    assert first.header_signature in message
    outcomes = await world.execute(world.alice.batch(first), world.bob.batch(dependent))
    assert all(isinstance(each, Applied) for each in outcomes)
    inside = intkey_transaction(world.alice, "set", "o", 1)
    after = intkey_transaction(world.alice, "inc", "o", 1, dependencies=[inside.header_signature])
    assert (await world.refused(world.alice.batch(after, inside)))[0] == "missing-dependency"
    await world.applied(world.alice.batch(inside, after))


async def test_a_dependency_on_what_failed_fails(world):
    bad = intkey_transaction(world.alice, "inc", "n", 1)
    dependent = intkey_transaction(world.bob, "set", "m", 1, dependencies=[bad.header_signature])
    outcomes = await world.execute(world.alice.batch(bad), world.bob.batch(dependent))
    assert [each.code for each in outcomes] == ["invalid-transaction", "missing-dependency"]


async def test_addresses_outside_what_is_declared_are_refused(world):
    transaction = intkey_transaction(world.alice, "set", "n", 1, outputs=[intkey_address("m")])
    code, message = await world.refused(world.alice.batch(transaction))
    assert code == "invalid-transaction"
    assert "outputs" in message


async def test_a_declared_address_that_is_none_fails_with_a_message(world):
    for wrong in ("1cf12", "1CF126", "zz", "00" * 36):
        transaction = intkey_transaction(world.alice, "set", "n", 1, inputs=[wrong])
        code, message = await world.refused(world.alice.batch(transaction))
        assert code == "invalid-transaction"
        assert wrong[:60] in message


async def test_an_empty_batch_is_refused(world):
    code, message = await world.refused(world.alice.batch())
    assert (code, message) == ("invalid-batch", "the batch has no transactions")


async def test_a_family_nobody_executes_stops_nobody(world):
    ghost = world.alice.batch(intkey_transaction(world.alice, "set", "g", 1, family=("ghost", "1.0")))
    outcomes = await world.execute(ghost, world.bob.batch(intkey_transaction(world.bob, "set", "n", 1)))
    assert outcomes[0].code == "invalid-transaction"
    assert "ghost" in outcomes[0].message
    assert world.number("n") == 1


async def test_an_unavailable_processor_is_a_refusal_of_its_own(make_world):
    class Away(Intkey):
        def process(self, transaction, context):
            return Unavailable("the processor went away")

    world = make_world(Away())
    code, message = await world.refused(world.alice.batch(intkey_transaction(world.alice, "set", "n", 1)))
    assert (code, message) == ("no-processor", "the processor went away")


async def test_what_a_processor_says_is_bounded_and_handed_on(make_world):
    class Talkative(Intkey):
        def process(self, transaction, context):
            return Invalid("x" * 1_000_000, b"y" * 1_000_000)

    world = make_world(Talkative())
    [outcome] = await world.execute(world.alice.batch(intkey_transaction(world.alice, "set", "n", 1)))
    [told] = messages.ClientBatchStatus.FromString(outcome.data).invalid_transactions
    assert len(told.message) == limits.MESSAGE_SIZE_MAX_CHARS
    assert len(told.extended_data) == limits.EXTENDED_DATA_SIZE_MAX_BYTES


async def test_too_much_written_is_refused(make_world):
    class Greedy(Intkey):
        def process(self, transaction, context):
            for index in range(3):
                address = intkey_address(f"{transaction.id}{index}")
                context.set([(address, bytes(limits.STATE_VALUE_SIZE_MAX_BYTES))])
            return Valid()

    world = make_world(Greedy())
    one, two = (
        intkey_transaction(world.alice, "set", name, 1, inputs=[""], outputs=["1cf126"]) for name in "ab"
    )
    assert (await world.refused(world.alice.batch(one, two)))[0] == "too-large"
    await world.applied(world.alice.batch(one))
    # What does not fit into one core batch beside another is offered again, and applied.
    more = [
        world.alice.batch(intkey_transaction(world.alice, "set", str(n), 1, inputs=[""], outputs=["1cf126"]))
        for n in range(12)
    ]
    raw = [each.SerializeToString() for each in more]
    outcomes = await world.attempt(raw)
    assert isinstance(outcomes[0], Applied)
    assert isinstance(outcomes[-1], Deferred)
    world.commit()
    put_off = [each for each, outcome in zip(more, outcomes, strict=True) if isinstance(outcome, Deferred)]
    await world.applied(*put_off)
    assert world.head.header.state_root_hash == state_root(world.state())


async def test_many_addresses_put_off_what_follows(world, monkeypatch):
    """Who reads everything is compared with every address before it: work grows with both."""
    monkeypatch.setattr("coco_sawtooth.adapter.ROUND_WEIGHT_MAX", 20)
    many = [f"1cf126{number:064x}" for number in range(320)]
    batches = [
        world.alice.batch(
            intkey_transaction(world.alice, "set", str(number), 1, inputs=[""], outputs=outputs)
        )
        for number, outputs in enumerate([[*many, intkey_address("0")], ["1cf126"]])
    ]
    outcomes = await world.attempt([each.SerializeToString() for each in batches])
    assert [type(each) for each in outcomes] == [Applied, Deferred]


async def test_long_refusals_put_off_what_follows(make_world, monkeypatch):
    """What clients are told is part of a core batch's result, and bounded with it."""

    class Talkative(Intkey):
        def process(self, transaction, context):
            if transaction.payload.endswith(b"\x07"):
                return Invalid("no", bytes(limits.EXTENDED_DATA_SIZE_MAX_BYTES))
            return super().process(transaction, context)

    monkeypatch.setattr("coco_sawtooth.round.ROUND_WRITES_SIZE_MAX_BYTES", 4 * 32 * 1024)
    world = make_world(Talkative())
    batches = [
        world.alice.batch(intkey_transaction(world.alice, "set", str(number), 7 if number else 1))
        for number in range(6)
    ]
    outcomes = await world.attempt([each.SerializeToString() for each in batches])
    assert [type(each) for each in outcomes] == [Applied] + [Rejected] * 3 + [Deferred] * 2
    world.commit()
    assert [each.code for each in await world.execute(*batches[4:])] == ["invalid-transaction"] * 2


async def test_more_than_one_round_holds_is_put_off_in_order(world, monkeypatch):
    monkeypatch.setattr("coco_sawtooth.adapter.ROUND_WEIGHT_MAX", 2)
    batches = [world.alice.batch(intkey_transaction(world.alice, "set", str(n), 1)) for n in range(5)]
    outcomes = await world.attempt([each.SerializeToString() for each in batches])
    assert [type(each) for each in outcomes] == [Applied, Applied, Deferred, Deferred, Deferred]
    world.commit()
    await world.applied(*batches[2:])
    # Where nothing is applied, the next round follows at once: a batch may not put off everything.
    bad = [world.alice.batch(intkey_transaction(world.alice, "inc", "none", 1)) for _ in range(5)]
    outcomes = await world.attempt([each.SerializeToString() for each in bad])
    assert [type(each) for each in outcomes] == [Rejected] * 5


async def test_roots_follow_when_leadership_is_lost(world):
    """What was executed and dropped, and what others executed, is in the next root as the maps say."""
    alice = world.alice
    await world.applied(alice.batch(intkey_transaction(alice, "set", "n", 1)))
    for _ in range(2):
        lost = alice.batch(
            intkey_transaction(alice, "inc", "n", 5), intkey_transaction(alice, "set", "lost", 1)
        )
        await world.attempt([lost.SerializeToString()])
    world.drop()
    await world.applied(alice.batch(intkey_transaction(alice, "set", "m", 1)))
    assert world.number("lost") is None
    assert world.head.header.state_root_hash == state_root(world.state())

    # Another node executes for a while; ours hears of it by commits alone.
    other = SawtoothAdapter(Intkey())
    ours, world.adapter = world.adapter, _Both(other, world.adapter)
    await world.applied(alice.batch(intkey_transaction(alice, "inc", "n", 1)))
    await world.attempt([alice.batch(intkey_transaction(alice, "inc", "m", 1)).SerializeToString()])
    world.adapter = _Both(ours, other)
    await world.attempt([alice.batch(intkey_transaction(alice, "set", "o", 1)).SerializeToString()])
    world.commit()
    assert world.head.header.state_root_hash == state_root(world.state())
    world.adapter = _Both(other, ours)
    await world.applied(alice.batch(intkey_transaction(alice, "inc", "o", 1)))
    assert world.head.header.state_root_hash == state_root(world.state())


class _Both:
    """Two nodes' adapters: the first executes, both hear what is committed."""

    def __init__(self, primary, backup):
        self.manifest = primary.manifest
        self.execute = primary.execute
        self._all = (primary, backup)

    def committed(self, batch):
        for adapter in self._all:
            adapter.committed(batch)


async def test_a_node_that_begins_with_a_snapshot_has_the_same_roots(world):
    await world.applied(world.alice.batch(intkey_transaction(world.alice, "set", "n", 1)))
    fresh = SawtoothAdapter(Intkey())
    fresh.restored(world.store.view())
    world.adapter = fresh
    await world.applied(world.alice.batch(intkey_transaction(world.alice, "inc", "n", 1)))
    assert world.head.header.state_root_hash == state_root(world.state())


async def test_state_as_of_a_block_inside_a_core_batch(world):
    names = ["n", "n", "n"]
    verbs = ["set", "inc", "inc"]
    await world.applied(
        *(
            world.alice.batch(intkey_transaction(world.alice, verb, name, 1))
            for verb, name in zip(verbs, names, strict=True)
        )
    )
    newest = world.store.view()
    for number, value in ((1, 1), (2, 2), (3, 3)):
        block = records.block_by_number(newest, number)
        state = records.state_at(block, newest, world.store.view(block.base_seqno))
        assert state_root(dict(state.items(records.STATE))) == block.header.state_root_hash
        assert intkey_value(state) == value
    first = records.block_by_number(newest, 0)
    assert first.header.previous_block_id == NO_BLOCK
    assert first.base_seqno == 0
    state = records.state_at(first, newest, world.store.view(0))
    assert state_root(dict(state.items(records.STATE))) == first.header.state_root_hash


def intkey_value(view):
    return cbor2.loads(records.state_value(view, intkey_address("n")))["n"]


async def test_a_failing_processor_host_is_the_adapters_fault_and_writes_nothing(make_world):
    class Broken(Intkey):
        broken = True

        def process(self, transaction, context):
            if self.broken:
                raise RuntimeError("the host failed")
            return super().process(transaction, context)

    broken = Broken()
    world = make_world(broken)
    batch = world.alice.batch(intkey_transaction(world.alice, "set", "n", 1))
    with pytest.raises(RuntimeError, match="the host failed"):
        await world.execute(batch)
    broken.broken = False
    await world.applied(batch)
    assert world.head.header.state_root_hash == state_root(world.state())


async def test_the_core_batch_is_taken_as_it_comes(world):
    """An empty core batch, and bytes that are no batch."""
    empty = Batch(requests=(), view=2, first_seqno=world.seqno + 1, time_ms=0, randomness=bytes(32))
    assert list((await world.adapter.execute(empty, world.store.head())).outcomes) == []
    garbage = Batch(
        requests=(Request(b""), Request(b"\x00")),
        view=2,
        first_seqno=world.seqno + 1,
        time_ms=0,
        randomness=bytes(32),
    )
    found = await world.adapter.execute(garbage, world.store.head())
    assert [each.code for each in found.outcomes] == ["invalid-batch"] * 2


async def test_nobody_executes_it_anew(world):
    with pytest.raises(IntegrityError, match="not deterministic"):
        await world.adapter.replay([], world.store.view())
