"""What each shipped constitution decides, vote by vote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import pytest

from coco_core.errors import OperatorError
from coco_core.governance import CONSTITUTION_FUNCTIONS, JSON, SHIPPED, StarlarkRuntime, shipped_constitution

SET_USER = {"name": "set_user", "args": {}}


def member(status: str = "Active", data: JSON = None) -> dict[str, JSON]:
    return {"status": status, "member_data": data, "recovery_role": "Participant"}


FIVE = {name: member() for name in "abcde"}


@attrs.frozen
class Rule:
    """One constitution, asked about one proposal."""

    name: str
    members: Mapping[str, JSON] = attrs.field(factory=lambda: FIVE)
    actions: Sequence[JSON] = (SET_USER,)
    proposer: str = "a"
    service: Mapping[str, JSON] = attrs.field(factory=dict)

    async def __call__(self, yes: str = "", no: str = "") -> JSON:
        votes: list[JSON] = [
            *({"member_id": name, "vote": True} for name in yes),
            *({"member_id": name, "vote": False} for name in no),
        ]
        proposal = {"actions": self.actions}
        arguments: list[JSON] = [proposal, self.proposer, votes, self.members]
        source = shipped_constitution(self.name)
        return await StarlarkRuntime().call(source, "resolve", arguments, self.service)


@pytest.mark.parametrize("name", SHIPPED)
async def test_each_is_complete_and_hands_on_what_was_proposed(name: str) -> None:
    source = shipped_constitution(name)
    runtime = StarlarkRuntime()
    await runtime.check(source, CONSTITUTION_FUNCTIONS)
    proposal: dict[str, JSON] = {"actions": [SET_USER]}
    assert await runtime.call(source, "validate", [proposal]) is None
    assert await runtime.call(source, "validate", [{"actions": []}]) == (
        "a proposal holds at least one action"
    )
    assert await runtime.call(source, "apply", [proposal]) == [SET_USER]


@pytest.mark.parametrize("name", SHIPPED)
async def test_none_accepts_without_votes_or_by_members_that_are_not_active(name: str) -> None:
    assert await Rule(name)() == "Open"
    members = {"a": member(), "b": member(), "c": member(), "x": member("Accepted"), "y": member("Accepted")}
    assert await Rule(name, members)(yes="xyz") == "Open"
    assert await Rule(name, members)(no="xyz") == "Open"
    assert await Rule(name, {})() != "Accepted"


@pytest.mark.parametrize("name", ["majority", "veto", "operator", "delegated_nodes"])
async def test_more_than_half_of_all_active_members(name: str) -> None:
    rule = Rule(name)
    assert await rule(yes="ab", no="cd") == "Open"
    assert await rule(yes="abc") == "Accepted"
    assert await rule(no="ab") == "Open"
    assert await rule(no="abc") == "Rejected"
    even = Rule(name, {name: member() for name in "abcd"})
    assert await even(yes="ab", no="c") == "Open"
    assert await even(yes="ab", no="cd") == "Rejected"
    assert await even(yes="abc") == "Accepted"
    assert await Rule(name, {"a": member()})(yes="a") == "Accepted"


async def test_unanimous() -> None:
    rule = Rule("unanimous")
    assert await rule(yes="abcd") == "Open"
    assert await rule(yes="abcde") == "Accepted"
    assert await rule(yes="abcd", no="e") == "Rejected"


async def test_m_of_n_and_how_to_change_m() -> None:
    rule = Rule("m_of_n")
    assert await rule(yes="a", no="bcd") == "Open"
    assert await rule(yes="ab", no="cde") == "Accepted"
    assert await rule(no="abcd") == "Rejected"
    assert await Rule("m_of_n", {"a": member()})(yes="a") == "Rejected"
    three = shipped_constitution("m_of_n").replace("\nM = 2\n", "\nM = 3\n")
    votes: list[JSON] = [{"member_id": name, "vote": True} for name in "ab"]
    arguments: list[JSON] = [{"actions": [SET_USER]}, "a", votes, FIVE]
    assert await StarlarkRuntime().call(three, "resolve", arguments) == "Open"


async def test_veto() -> None:
    rule = Rule("veto", {**FIVE, "v": member(data={"veto": True}), "w": member("Accepted", {"veto": True})})
    assert await rule(yes="abcde") == "Open"
    assert await rule(yes="abcdv") == "Accepted"
    assert await rule(yes="abc", no="v") == "Rejected"
    assert await rule(yes="abcdv", no="w") == "Accepted"
    assert await rule(yes="v", no="abcd") == "Rejected"
    for data in ({"veto": False}, {"veto": "yes"}, "veto", ["veto"]):
        assert await Rule("veto", {**FIVE, "v": member(data=data)})(yes="abcd", no="v") == "Accepted"


async def test_operators_decide_about_nodes_alone_and_about_nothing_else() -> None:
    members = {
        **FIVE,
        "o": member(data={"is_operator": True}),
        "p": member("Accepted", {"is_operator": True}),
    }
    node = {"name": "remove_node", "args": {"node_id": "n"}}
    assert await Rule("operator", members, [node], proposer="o")() == "Accepted"
    assert await Rule("operator", members, [node, SET_USER], proposer="o")() == "Open"
    assert await Rule("operator", members, [SET_USER], proposer="o")(yes="ab") == "Open"
    assert await Rule("operator", members, [SET_USER], proposer="o")(yes="abo") == "Open"
    assert await Rule("operator", members, [SET_USER], proposer="o")(yes="abc", no="o") == "Accepted"
    assert await Rule("operator", members, [SET_USER], proposer="o")(yes="o", no="abc") == "Rejected"
    for proposer in "apz":
        assert await Rule("operator", members, [node], proposer=proposer)() == "Open"
    only = {"o": member(data={"is_operator": True})}
    assert await Rule("operator", only, [SET_USER], proposer="o")(yes="o") == "Rejected"


def node(status: str = "Pending", owner: str | None = None, measurement: str = "good") -> dict[str, JSON]:
    return {"status": status, "owner": owner, "measurement": measurement, "platform": "virtual"}


def trust(*nodes: str) -> list[JSON]:
    return [{"name": "transition_node_to_trusted", "args": {"node_id": name}} for name in nodes]


NODES = {
    "mine": node(),
    "mine2": node(),
    "mine3": node(),
    "unlisted": node(measurement="bad"),
    "old": node("Retired"),
    "others": node("Trusted", "b"),
}


@pytest.mark.parametrize(
    ("actions", "more", "state"),
    [
        (trust("mine"), {}, "Accepted"),
        (trust("mine", "mine2"), {}, "Accepted"),
        (trust("mine", "mine2", "mine3"), {}, "Open"),
        (trust("mine"), {"run": node("Trusted", "a")}, "Accepted"),
        (trust("mine", "mine2"), {"run": node("Trusted", "a")}, "Open"),
        (trust("mine"), {"run": node("Trusted", "a"), "run2": node("Trusted", "a")}, "Open"),
        ([{"name": "transition_node_to_trusted", "args": {"node_id": "mine", "owner": "b"}}], {}, "Open"),
        (trust("unlisted"), {}, "Open"),
        (trust("old"), {}, "Open"),
        (trust("nowhere"), {}, "Open"),
        (trust("mine", "others"), {}, "Open"),
        ([*trust("mine"), SET_USER], {}, "Open"),
        ([{"name": "remove_node", "args": {"node_id": "mine"}}], {}, "Open"),
    ],
)
async def test_a_member_adds_so_many_nodes_of_its_own(
    actions: list[JSON], more: dict[str, Any], state: str
) -> None:
    service: dict[str, JSON] = {"nodes": {**NODES, **more}, "code": ["good"]}
    assert await Rule("delegated_nodes", actions=actions, service=service)() == state
    assert await Rule("delegated_nodes", actions=actions, service=service)(yes="abc") == "Accepted"
    joining = {**FIVE, "a": member("Accepted")}
    assert await Rule("delegated_nodes", joining, actions, service=service)() == "Open"


def test_a_name_nothing_is_shipped_under() -> None:
    with pytest.raises(OperatorError, match="majority"):
        shipped_constitution("../majority")
