"""A constitution is tried before a service is founded on it: nobody could change it afterwards."""

from __future__ import annotations

import pytest

from coco_core.errors import MemberError
from coco_core.governance import (
    SHIPPED,
    Charter,
    ServiceConfig,
    StarlarkRuntime,
    shipped_constitution,
    try_founding,
)
from coco_core.testing import Consortium
from coco_core.testing.members import Signatory

SERVICE = Consortium.of(1).service.certificate
MEMBERS = tuple(Signatory.make(name).member() for name in ("alice", "bob", "carol"))

VALIDATE = "def validate(p):\n    return None\n"
RESOLVE = "def resolve(p, a, v, m):\n    return 'Accepted' if len(v) == len(m) else 'Open'\n"
APPLY = "def apply(p):\n    return p['actions']\n"

UNFIT: dict[str, tuple[str, str]] = {
    "empty": ("", "constitution-"),
    "no text of Starlark": ("def", "syntax"),
    "no validate": (RESOLVE + APPLY, "validate"),
    "no resolve": (VALIDATE + APPLY, "resolve"),
    "no apply": (VALIDATE + RESOLVE, "apply"),
    "a value for a function": (VALIDATE + RESOLVE + "apply = 5\n", "apply"),
    "other parameters": (VALIDATE + APPLY + "def resolve(p):\n    return 'Open'\n", "constitution-"),
    "fails": (VALIDATE + APPLY + "def resolve(p, a, v, m):\n    fail('no')\n", "constitution-"),
    "never ends": (
        VALIDATE + APPLY + "def resolve(p, a, v, m):\n    for i in range(1 << 30):\n        pass\n",
        "step-limit",
    ),
    "accepts nothing": (VALIDATE + APPLY + "def resolve(p, a, v, m):\n    return 'Open'\n", "final"),
    "answers nonsense": (VALIDATE + APPLY + "def resolve(p, a, v, m):\n    return 'Perhaps'\n", "final"),
    "allows nothing": (RESOLVE + APPLY + "def validate(p):\n    return 'no'\n", "final"),
    "applies nonsense": (VALIDATE + RESOLVE + "def apply(p):\n    return 5\n", "no list of actions"),
}


def charter(text: str, founders: int = 3) -> Charter:
    return Charter(members=MEMBERS[:founders], constitution=text, config=ServiceConfig())


@pytest.mark.parametrize("name", SHIPPED)
async def test_those_that_come_with_the_framework(name: str) -> None:
    await try_founding(StarlarkRuntime(), charter(shipped_constitution(name)), SERVICE)


async def test_one_that_wants_more_votes_than_there_are_members() -> None:
    with pytest.raises(MemberError, match="all active members want it"):
        await try_founding(StarlarkRuntime(), charter(shipped_constitution("m_of_n"), 1), SERVICE)


async def test_one_of_the_members_own() -> None:
    await try_founding(StarlarkRuntime(), charter(VALIDATE + RESOLVE + APPLY), SERVICE)


@pytest.mark.parametrize("fault", UNFIT)
async def test_one_that_could_never_govern(fault: str) -> None:
    text, reason = UNFIT[fault]
    with pytest.raises(MemberError, match=reason):
        await try_founding(StarlarkRuntime(), charter(text), SERVICE)
