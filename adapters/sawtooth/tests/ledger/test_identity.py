"""Identities: policies and roles are kept as the family says, and batches are refused by them."""

from __future__ import annotations

import hashlib

import coincurve
import pytest

from coco_sawtooth import messages, records
from coco_sawtooth.identity_family import (
    ALLOWED_KEYS,
    FAMILY,
    policy_address,
    read_policy,
    read_role,
    role_address,
)
from coco_sawtooth.settings_family import setting_address
from coco_sawtooth.testing import Client, intkey_transaction

PERMIT, DENY = messages.Policy.PERMIT_KEY, messages.Policy.DENY_KEY


def identity_transaction(client, kind, data, *names):
    places = sorted({setting_address(ALLOWED_KEYS), *map(policy_address, names), *map(role_address, names)})
    payload = messages.IdentityPayload(type=kind, data=data).SerializeToString()
    return client.transaction(family=FAMILY, payload=payload, inputs=places, outputs=places)


def policy(client, name, *entries):
    made = messages.Policy(
        name=name, entries=[messages.Policy.Entry(type=kind, key=key) for kind, key in entries]
    )
    return identity_transaction(client, messages.IdentityPayload.POLICY, made.SerializeToString(), name)


def role(client, name, policy_name):
    made = messages.Role(name=name, policy_name=policy_name)
    return identity_transaction(
        client, messages.IdentityPayload.ROLE, made.SerializeToString(), name, policy_name
    )


async def let(world, name, *entries):
    """Make a policy and give it a role of a name."""
    await world.applied(
        world.admin.batch(policy(world.admin, f"p-{name}", *entries), role(world.admin, name, f"p-{name}"))
    )


def intkey(client, name="n", verb="set", **fields):
    return client.batch(intkey_transaction(client, verb, name, 1, **fields))


def test_addresses_are_those_of_the_family():
    hashed = [hashlib.sha256(part).hexdigest() for part in (b"a", b"b", b"c", b"d.e", b"")]
    assert policy_address("a") == "00001d00" + hashed[0][:62]
    assert role_address("a.b.c.d.e") == "00001d01" + hashed[0][:14] + "".join(h[:16] for h in hashed[1:4])
    assert role_address("a") == "00001d01" + hashed[0][:14] + hashed[4][:16] * 3


async def test_policies_and_roles_are_kept_and_replaced(world):
    def read(key):
        return world.store.view().get(records.STATE, key) or b""

    first = policy(world.admin, "p", (PERMIT, "*"))
    await world.applied(world.admin.batch(first))
    [event] = world.receipt(first).events
    assert (event.event_type, event.attributes[0].value) == ("identity/update", "p")
    await world.applied(world.admin.batch(policy(world.admin, "p", (DENY, "*"))))
    assert [entry.type for entry in read_policy(read, "p").entries] == [DENY]
    await world.applied(world.admin.batch(role(world.admin, "r", "p")))
    assert read_role(read, "r").policy_name == "p"
    assert read_role(read, "other") is None
    assert read_policy(read, "other") is None


async def test_only_allowed_keys_write_them(world):
    code, message = await world.refused(world.alice.batch(policy(world.alice, "p", (PERMIT, "*"))))
    assert (code, "not authorized" in message) == ("invalid-transaction", True)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda client: policy(client, "p"), "one entry"),
        (lambda client: policy(client, "", (PERMIT, "*")), "name must be set"),
        (lambda client: policy(client, "p", (PERMIT, "")), "must have a key"),
        (lambda client: role(client, "r", "nowhere"), "is not set"),
        (lambda client: role(client, "", "p"), "name must be set"),
        (lambda client: role(client, "r", ""), "policy name"),
        (lambda client: identity_transaction(client, 0, b"", "p"), "either a ROLE or a POLICY"),
        (lambda client: identity_transaction(client, 1, b"\xff", "p"), "does not decode"),
    ],
)
async def test_what_is_no_policy_or_role(world, make, reason):
    code, message = await world.refused(world.admin.batch(make(world.admin)))
    assert code == "invalid-transaction"
    assert reason in message


async def test_without_roles_everybody_may(world):
    await world.applied(intkey(world.alice))


async def test_a_batch_signer_must_be_permitted(world):
    everybody_but = [(PERMIT, world.admin.public_key), (DENY, world.alice.public_key), (PERMIT, "*")]
    await let(world, "transactor.batch_signer", *everybody_but)
    code, message = await world.refused(intkey(world.alice))
    assert code == "not-permitted"
    assert "batch signer" in message
    # What alice signed may come in somebody else's batch.
    await world.applied(
        world.bob.batch(intkey_transaction(world.alice, "set", "n", 1, batcher=world.bob.public_key))
    )


async def test_a_transaction_signer_must_be_permitted_for_the_family(world):
    await let(world, "transactor.transaction_signer.intkey", (PERMIT, world.alice.public_key))
    await world.applied(intkey(world.alice))
    code, message = await world.refused(intkey(world.bob))
    assert (code, "transaction signer" in message) == ("not-permitted", True)
    # Other families are not touched by it.
    await world.set("my.setting", "1")


async def test_the_first_role_that_is_set_decides_and_a_policy_ends_with_no(world):
    await let(world, "transactor", (PERMIT, world.admin.public_key))
    assert (await world.refused(intkey(world.alice)))[0] == "not-permitted"
    await let(world, "transactor.batch_signer", (PERMIT, "*"))
    await let(world, "transactor.transaction_signer", (PERMIT, "*"))
    await world.applied(intkey(world.alice))


async def test_the_default_policy_is_for_whoever_has_no_role(world):
    await world.applied(world.admin.batch(policy(world.admin, "default", (PERMIT, world.admin.public_key))))
    assert (await world.refused(intkey(world.alice)))[0] == "not-permitted"
    await world.set("my.setting", "1")


async def test_a_denied_key_is_denied_in_every_notation(world):
    await let(world, "transactor.transaction_signer.intkey", (DENY, world.alice.public_key), (PERMIT, "*"))
    key = coincurve.PublicKey(bytes.fromhex(world.alice.public_key)).format(compressed=False).hex()
    for form in (world.alice.public_key, world.alice.public_key.upper(), key, key.upper()):
        code, _ = await world.refused(intkey(world.alice, signer_public_key=form))
        assert code == "not-permitted"
    await world.applied(intkey(Client.named("carol")))
