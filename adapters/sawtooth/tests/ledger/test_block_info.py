"""Block information: put before each block's batch when settings say so, and what transactions read of it."""

from __future__ import annotations

import pytest

from coco_sawtooth import block_info, messages, records
from coco_sawtooth.block_info import CONFIG_ADDRESS, INJECTORS, block_address
from coco_sawtooth.execution import Valid
from coco_sawtooth.merkle import state_root
from coco_sawtooth.testing import Intkey, intkey_transaction
from coco_sawtooth.validation_rules import RULES

NAMESPACE = "00b10c"


def info(world, number) -> messages.BlockInfo:
    return messages.BlockInfo.FromString(world.value(block_address(number)) or b"")


async def test_a_block_begins_with_what_is_known_of_the_one_before(world):
    await world.set(INJECTORS, "block_info")
    before = world.head
    batch = world.alice.batch(intkey_transaction(world.alice, "set", "n", 1))
    await world.applied(batch)
    injected, own = world.head.header.batch_ids
    assert own == batch.header_signature
    told = info(world, before.number)
    assert (told.block_num, told.header_signature) == (before.number, before.id)
    assert told.previous_block_id == before.header.previous_block_id
    assert told.timestamp == 1_700_000_000 + 2
    raw = messages.Batch.FromString(records.raw_batch(world.store.view(), injected) or b"")
    header = messages.TransactionHeader.FromString(raw.transactions[0].header)
    assert (header.family_name, header.signer_public_key) == (
        "block_info",
        world.head.header.signer_public_key,
    )
    assert world.receipt(raw.transactions[0]).state_changes
    assert world.head.header.state_root_hash == state_root(world.state())


async def test_many_blocks_in_one_core_batch_each_know_the_one_before(world):
    await world.set(INJECTORS, "block_info")
    await world.applied(
        *(world.alice.batch(intkey_transaction(world.alice, "set", str(n), 1)) for n in range(5))
    )
    view = world.store.view()
    for number in range(1, 6):
        assert info(world, number).header_signature == records.block_by_number(view, number).id
    assert world.head.header.state_root_hash == state_root(world.state())


async def test_only_so_many_are_kept(world, monkeypatch):
    monkeypatch.setattr(block_info, "TARGET_COUNT", 2)
    await world.set(INJECTORS, "block_info")
    for number in range(6):
        await world.applied(world.alice.batch(intkey_transaction(world.alice, "set", str(number), 1)))
    config = messages.BlockInfoConfig.FromString(world.value(CONFIG_ADDRESS))
    assert (config.latest_block, config.oldest_block, config.target_count) == (6, 4, 2)
    kept = [number for number in range(8) if world.value(block_address(number)) is not None]
    assert kept == [4, 5, 6]


async def test_who_reads_it_sees_its_own_block_s(make_world):
    seen = []

    class Reader(Intkey):
        def process(self, transaction, context):
            if transaction.family[0] != "reader":
                return super().process(transaction, context)
            [raw] = context.get([CONFIG_ADDRESS])
            seen.append(messages.BlockInfoConfig.FromString(raw).latest_block)
            return Valid()

    world = make_world(Reader())
    await world.set(INJECTORS, "block_info")

    def reading():
        return world.alice.batch(world.alice.transaction(family=("reader", "1.0"), inputs=[NAMESPACE]))

    def writing(name):
        return world.alice.batch(intkey_transaction(world.alice, "set", name, 1))

    await world.applied(reading(), writing("a"), reading(), writing("b"), reading())
    assert seen == [1, 3, 5]


async def test_the_usual_rules_let_nobody_but_the_validator_write_it(world):
    await world.applied(
        world.admin.batch(
            world.propose(INJECTORS, "block_info"),
            world.propose(RULES, "NofX:1,block_info;XatY:block_info,0;local:0"),
        )
    )
    await world.applied(world.alice.batch(intkey_transaction(world.alice, "set", "n", 1)))
    assert (await world.refused(world.alice.batch(told(world.alice))))[0] == "validation-rule"


def told(client, **fields):
    values = {
        "block_num": 7,
        "previous_block_id": "0" * 16,
        "signer_public_key": client.public_key,
        "header_signature": "ab" * 64,
        "timestamp": 1_700_000_001,
    }
    payload = messages.BlockInfoTxn(block=messages.BlockInfo(**(values | fields))).SerializeToString()
    return client.transaction(
        family=block_info.FAMILY, payload=payload, inputs=[NAMESPACE], outputs=[NAMESPACE]
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"previous_block_id": "00"},
        {"signer_public_key": "zz"},
        {"header_signature": "AB" * 64},
        {"timestamp": 0},
        {"timestamp": 1_600_000_000},
    ],
)
async def test_what_is_no_information(world, wrong):
    assert (await world.refused(world.alice.batch(told(world.alice, **wrong))))[0] == "invalid-transaction"


async def test_numbers_identifiers_and_times_follow_each_other(world):
    await world.applied(world.alice.batch(told(world.alice)))
    for wrong in (
        {"block_num": 9, "previous_block_id": "ab" * 64},
        {"block_num": 8},
        {"block_num": 8, "previous_block_id": "ab" * 64, "timestamp": 1_699_999_999},
    ):
        transaction = told(world.alice, **wrong)
        assert (await world.refused(world.alice.batch(transaction)))[0] == "invalid-transaction"
    good = told(world.alice, block_num=8, previous_block_id="ab" * 64, header_signature="cd" * 64)
    await world.applied(world.alice.batch(good))


async def test_a_gap_in_it_stops_no_block(world):
    """Injection that began again after a pause would not follow what is in state: nothing is put in."""
    await world.applied(world.alice.batch(told(world.alice)))
    await world.set(INJECTORS, "block_info")
    await world.applied(world.alice.batch(intkey_transaction(world.alice, "set", "n", 1)))
    assert len(world.head.header.batch_ids) == 1
