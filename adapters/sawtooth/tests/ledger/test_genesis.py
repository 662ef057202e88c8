"""Genesis: from settings or batches to the first block; every fault is the operator's, by field."""

from __future__ import annotations

import base64

import pytest

from coco_core.adapter import Batch
from coco_core.errors import AdapterError, OperatorError
from coco_core.kv import Store
from coco_sawtooth import messages, records
from coco_sawtooth.adapter import SawtoothAdapter
from coco_sawtooth.genesis import genesis_writes
from coco_sawtooth.merkle import state_root
from coco_sawtooth.records import NO_BLOCK
from coco_sawtooth.settings_family import APPROVAL_THRESHOLD, AUTHORIZED_KEYS, PROPOSALS
from coco_sawtooth.signing import verify
from coco_sawtooth.testing import Client, Intkey, intkey_transaction

ALICE, BOB = Client.named("alice"), Client.named("bob")
KEY = "11" * 32


def test_the_first_block_holds_its_batch_with_receipts(make_world):
    world = make_world(config={"authorized_keys": [ALICE.public_key], "settings": {"a.b": "1"}})
    block = world.head
    assert (block.number, block.header.previous_block_id) == (0, NO_BLOCK)
    assert block.header.state_root_hash == state_root(world.state())
    verify(block.id, block.header_bytes, block.header.signer_public_key)
    assert (world.setting("a.b"), world.setting(AUTHORIZED_KEYS)) == ("1", ALICE.public_key)
    receipts = list(records.receipts_of_block(world.store.view(), block))
    assert [event.event_type for each in receipts for event in each.events] == ["settings/update"] * 3


def test_without_anything_nobody_may_change_settings(make_world):
    world = make_world(config={})
    assert world.setting(AUTHORIZED_KEYS) == world.head.header.signer_public_key


def test_more_than_one_key_may_have_to_agree(make_world):
    config = {
        "authorized_keys": [ALICE.public_key, BOB.public_key],
        "settings": {APPROVAL_THRESHOLD: "2"},
    }
    world = make_world(config=config)
    assert world.setting(APPROVAL_THRESHOLD) == "2"
    assert {ALICE.public_key, BOB.public_key} < set(world.setting(AUTHORIZED_KEYS).split(","))


def test_the_validator_key_is_given_or_fresh(make_world):
    given = [make_world(config={"validator_private_key": KEY}).head.id for _ in range(2)]
    assert given[0] == given[1]
    fresh = [
        genesis_writes({}, bytes([number]) * 32)[0][records.KEYS][records.VALIDATOR] for number in range(2)
    ]
    assert fresh[0] != fresh[1]


def test_batches_of_an_existing_network_begin_another(make_world):
    source = make_world()
    batch = ALICE.batch(source.propose(AUTHORIZED_KEYS, ALICE.public_key, ALICE))
    raw = messages.GenesisData(batches=[batch]).SerializeToString()
    world = make_world(config={"batches": [base64.b64encode(raw).decode()]})
    assert list(world.head.header.batch_ids) == [batch.header_signature]
    assert world.setting(AUTHORIZED_KEYS) == ALICE.public_key


def encoded(*batches) -> list[str]:
    return [base64.b64encode(messages.BatchList(batches=batches).SerializeToString()).decode()]


GHOST = ALICE.batch(intkey_transaction(ALICE, "set", "n", 1))
FORGED = ALICE.batch(intkey_transaction(ALICE, "set", "n", 1))
FORGED.header_signature = "11" * 64
INVALID = ALICE.batch(ALICE.transaction(family=("sawtooth_settings", "1.0")))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"colour": 1}, r"sawtooth\.colour: not known"),
        ({"validator_private_key": "zz"}, "validator_private_key: expected 64 hex digits"),
        ({"validator_private_key": "00" * 32}, "validator_private_key: not a private key"),
        ({"authorized_keys": "x"}, "authorized_keys: expected a list of strings"),
        ({"authorized_keys": ["x"]}, r"authorized_keys\[0\]: a public key"),
        ({"settings": []}, "settings: expected a table"),
        ({"settings": {"a": 1}}, "settings: expected a table"),
        ({"settings": {PROPOSALS: ""}}, "not set here"),
        ({"settings": {AUTHORIZED_KEYS: ""}}, "not set here"),
        ({"settings": {APPROVAL_THRESHOLD: "9"}}, "less than or equal"),
        ({"settings": {str(n): "" for n in range(1_001)}}, "1001 entries"),
        ({"batches": ["§"]}, r"batches\[0\]: not base64"),
        ({"batches": ["/w=="]}, r"batches\[0\]: not a BatchList"),
        ({"batches": encoded(FORGED)}, r"batches\[0\]: the signature"),
        ({"batches": encoded(GHOST)}, "family intkey 1.0 cannot be executed at genesis"),
        ({"batches": encoded(INVALID)}, "inputs"),
        ({"batches": encoded(GHOST, GHOST)}, "twice"),
        ({"batches": encoded(GHOST), "settings": {"a": "b"}}, "settings: given beside batches"),
    ],
)
def test_faults_are_named(config, message):
    with pytest.raises(OperatorError, match=message):
        genesis_writes(config, bytes(32))


def test_a_key_is_never_repeated_in_a_message():
    with pytest.raises(OperatorError) as raised:
        genesis_writes({"validator_private_key": KEY + "1"}, bytes(32))
    assert KEY not in str(raised.value)


async def test_a_ledger_without_a_beginning_executes_nothing():
    adapter = SawtoothAdapter(Intkey())
    batch = Batch(requests=(), view=2, first_seqno=1, time_ms=0, randomness=bytes(32))
    with pytest.raises(AdapterError, match="no first block"):
        await adapter.execute(batch, Store().head())
