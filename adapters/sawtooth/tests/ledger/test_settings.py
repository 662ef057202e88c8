"""Settings: who may change them, votes, and what they govern: families, rules of blocks."""

from __future__ import annotations

import hashlib

import orjson
import pytest

from coco_core.adapter import Applied
from coco_sawtooth import messages
from coco_sawtooth.permissions import FAMILIES
from coco_sawtooth.settings_family import APPROVAL_THRESHOLD, AUTHORIZED_KEYS, PROPOSALS, setting_address
from coco_sawtooth.testing import intkey_transaction
from coco_sawtooth.validation_rules import RULES

ACCEPT, REJECT = messages.SettingVote.ACCEPT, messages.SettingVote.REJECT


def vote_on(world, transaction, vote, client):
    proposal = messages.SettingsPayload.FromString(transaction.payload).data
    cast = messages.SettingVote(proposal_id=hashlib.sha256(proposal).hexdigest(), vote=vote)
    setting = messages.SettingProposal.FromString(proposal).setting
    return client.batch(
        world.settings_transaction(messages.SettingsPayload.VOTE, cast.SerializeToString(), setting, client)
    )


def test_addresses_are_those_of_the_family():
    """From the family's specification: four short hashes, the last has the rest."""
    short = [hashlib.sha256(part).hexdigest()[:16] for part in (b"a", b"b", b"c", b"d.e", b"")]
    assert setting_address("a.b.c.d.e") == "000000" + "".join(short[:4])
    assert setting_address("a.b") == "000000" + short[0] + short[1] + short[4] * 2


async def test_an_authorized_key_changes_a_setting_and_an_event_says_so(world):
    transaction = world.propose("my.setting", "10")
    await world.applied(world.admin.batch(transaction))
    assert world.setting("my.setting") == "10"
    [event] = world.receipt(transaction).events
    assert event.event_type == "settings/update"
    assert [(each.key, each.value) for each in event.attributes] == [("updated", "my.setting")]
    await world.set("my.setting", "11")
    assert world.setting("my.setting") == "11"


async def test_nobody_else_changes_one(world):
    code, message = await world.refused(world.alice.batch(world.propose("my.setting", "1", world.alice)))
    assert code == "invalid-transaction"
    assert "not authorized to change settings" in message


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        (PROPOSALS, "", "read-only"),
        (AUTHORIZED_KEYS, " , ", "must not be empty"),
        (APPROVAL_THRESHOLD, "two", "must be an integer"),
        (APPROVAL_THRESHOLD, "2", "less than or equal"),
    ],
)
async def test_values_that_are_none(world, setting, value, reason):
    code, message = await world.refused(world.admin.batch(world.propose(setting, value)))
    assert code == "invalid-transaction"
    assert reason in message


@pytest.mark.parametrize("payload", [b"\xff", b"", b"\x08\x01\x12\x01\xff", b"\x08\x02\x12\x01\xff"])
async def test_payloads_that_are_none(world, payload):
    place = [setting_address(AUTHORIZED_KEYS)]
    transaction = world.admin.transaction(
        family=("sawtooth_settings", "1.0"), payload=payload, inputs=place, outputs=place
    )
    assert (await world.refused(world.admin.batch(transaction)))[0] == "invalid-transaction"


async def test_undeclared_places_are_refused_for_families_that_are_built_in_too(world):
    transaction = world.admin.transaction(family=("sawtooth_settings", "1.0"), payload=b"")
    code, message = await world.refused(world.admin.batch(transaction))
    assert code == "invalid-transaction"
    assert "inputs" in message


async def voting(world):
    """Let two of three keys decide."""
    keys = ",".join([world.admin.public_key, world.alice.public_key, world.bob.public_key])
    await world.set(AUTHORIZED_KEYS, keys)
    await world.set(APPROVAL_THRESHOLD, "2")


async def test_as_many_as_the_threshold_says_must_agree(world):
    await voting(world)
    proposal = world.propose("my.setting", "1")
    await world.applied(world.admin.batch(proposal))
    assert world.setting("my.setting") is None
    code, message = await world.refused(vote_on(world, proposal, ACCEPT, world.admin))
    assert (code, "already voted" in message) == ("invalid-transaction", True)
    assert (await world.refused(world.admin.batch(world.propose("my.setting", "1"))))[1].startswith(
        "Duplicate"
    )
    await world.applied(vote_on(world, proposal, ACCEPT, world.alice))
    assert world.setting("my.setting") == "1"
    assert "does not exist" in (await world.refused(vote_on(world, proposal, ACCEPT, world.bob)))[1]


async def test_a_proposal_falls_when_as_many_are_against_it(world):
    await voting(world)
    proposal = world.propose("my.setting", "1")
    await world.applied(world.admin.batch(proposal))
    await world.applied(vote_on(world, proposal, REJECT, world.alice))
    await world.applied(vote_on(world, proposal, REJECT, world.bob))
    assert "does not exist" in (await world.refused(vote_on(world, proposal, REJECT, world.admin)))[1]
    assert world.setting("my.setting") is None
    assert "one of {ACCEPT, REJECT}" in (await refused_vote(world))[1]


async def refused_vote(world):
    proposal = world.propose("my.setting", "2")
    await world.applied(world.admin.batch(proposal))
    return await world.refused(vote_on(world, proposal, 0, world.alice))


# ── what settings govern ────────────────────────────────────────────────────────────────────────────


def listed(*families):
    return orjson.dumps(list(families)).decode()


async def test_only_listed_families_run_and_write_where_they_may(world):
    settings = {"family": "sawtooth_settings", "version": "1.0"}
    await world.set(FAMILIES, listed(settings))
    code, message = await world.refused(world.alice.batch(intkey_transaction(world.alice, "set", "n", 1)))
    assert (code, "not listed" in message) == ("invalid-transaction", True)
    wrong = {"family": "intkey", "version": "1.0", "namespaces": ["abcdef"]}
    await world.set(FAMILIES, listed(settings, wrong))
    code, message = await world.refused(world.alice.batch(intkey_transaction(world.alice, "set", "n", 1)))
    assert (code, "namespaces" in message) == ("invalid-transaction", True)
    await world.set(FAMILIES, listed(settings, wrong | {"namespaces": ["1cf126"]}))
    await world.applied(world.alice.batch(intkey_transaction(world.alice, "set", "n", 1)))
    await world.set(FAMILIES, listed(settings, {"family": "intkey", "version": "1.0"}))
    await world.applied(world.alice.batch(intkey_transaction(world.alice, "inc", "n", 1)))


@pytest.mark.parametrize("text", ["no json", "{}", "[1]", '[{"family": 1, "version": "1.0"}]', "[]", "null"])
async def test_a_list_of_no_families_permits_everything(world, text):
    await world.set(FAMILIES, text)
    await world.applied(world.alice.batch(intkey_transaction(world.alice, "set", "n", 1)))


@pytest.mark.parametrize(
    "mistake",
    [
        1,
        {"family": "xo"},
        {"family": "intkey", "version": 1.0},
        {"family": "intkey", "version": "1.0", "namespaces": "1cf126"},
        {"family": "intkey", "version": "1.0", "namespaces": [1]},
        {"family": "intkey", "version": "1.0", "namespaces": ""},
        {"family": "intkey", "version": "1.0", "namespaces": False},
    ],
)
async def test_what_is_no_family_takes_nothing_from_the_others_of_its_list(world, mistake):
    await world.set(FAMILIES, listed({"family": "sawtooth_settings", "version": "1.0"}, mistake))
    code, message = await world.refused(world.alice.batch(intkey_transaction(world.alice, "set", "n", 1)))
    assert (code, "not listed" in message) == ("invalid-transaction", True)
    await world.set(FAMILIES, "")
    await world.applied(world.alice.batch(intkey_transaction(world.alice, "set", "n", 1)))


async def test_a_setting_binds_from_the_next_batch_on_also_within_a_core_batch(world):
    settings = listed({"family": "sawtooth_settings", "version": "1.0"})
    before = world.alice.batch(intkey_transaction(world.alice, "set", "n", 1))
    after = world.alice.batch(intkey_transaction(world.alice, "set", "m", 1))
    outcomes = await world.execute(before, world.admin.batch(world.propose(FAMILIES, settings)), after)
    assert [isinstance(each, Applied) for each in outcomes] == [True, True, False]


@pytest.mark.parametrize(
    ("rules", "fits"),
    [
        ("NofX:1,intkey", False),
        ("NofX:2,intkey", True),
        ("NofX:0,other", True),
        ("XatY:intkey,0", True),
        ("XatY:intkey,-1", True),
        ("XatY:intkey,2", False),
        ("XatY:other,1", False),
        ("local:0", False),
        ("local:5,x", True),
        ("local:x,0", True),
        ("NofX:one,intkey;XatY:intkey;nonsense;also:1;", True),
        ("NofX:9,intkey ; XatY: other,0", False),
    ],
)
async def test_rules_say_what_a_block_may_hold(world, rules, fits):
    await world.set(RULES, rules)
    batch = world.alice.batch(*(intkey_transaction(world.alice, "set", name, 1) for name in "ab"))
    if fits:
        await world.applied(batch)
    else:
        assert (await world.refused(batch))[0] == "validation-rule"
