"""The constitutions that come with the framework: a start for one's own, or used as they are."""

from __future__ import annotations

import importlib.resources

from coco_core.errors import OperatorError

SHIPPED = ("delegated_nodes", "m_of_n", "majority", "operator", "unanimous", "veto")
CONSTITUTION_FUNCTIONS = ("validate", "resolve", "apply")
BALLOT_FUNCTIONS = ("vote",)


def shipped_constitution(name: str) -> str:
    """Return the text of a shipped constitution. Raises OperatorError if there is none of that name."""
    if name not in SHIPPED:
        raise OperatorError(f"no constitution {name!r} comes with the framework, but {', '.join(SHIPPED)}")
    folder = importlib.resources.files("coco_core.governance").joinpath("constitutions")
    return folder.joinpath(f"{name}.star").read_text(encoding="utf-8")
