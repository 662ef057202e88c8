"""Connections fit the process's limit on open files, raised where it can be."""

from __future__ import annotations

import resource

import pytest

from coco_core.base import limits
from coco_core.errors import OperatorError
from coco_core.node import capacity
from coco_core.node.capacity import connections_each

WANTED = 2 * limits.HTTP_CONNECTIONS_MAX + limits.NODE_FILES_RESERVED_MIN


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> list[tuple[int, int]]:
    """The process's limits as they would be set, the newest last."""
    known = [request.param]
    monkeypatch.setattr(resource, "getrlimit", lambda _: known[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: known.append(pair))
    return known


NONE = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("limit", "each", "after"),
    [
        ((1024, NONE), limits.HTTP_CONNECTIONS_MAX, WANTED),
        ((1024, 10**6), limits.HTTP_CONNECTIONS_MAX, WANTED),
        ((1024, 1024), (1024 - limits.NODE_FILES_RESERVED_MIN) // 2, 1024),
        ((10**6, 10**6), limits.HTTP_CONNECTIONS_MAX, 10**6),
        ((NONE, NONE), limits.HTTP_CONNECTIONS_MAX, NONE),
    ],
    indirect=["limit"],
)
def test_shares(limit: list[tuple[int, int]], each: int, after: int) -> None:
    assert connections_each(2) == each
    assert limit[-1][0] == after


@pytest.mark.parametrize("limit", [(1024, NONE)], indirect=True)
def test_limit_that_cannot_be_raised(limit: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert connections_each(2) == (1024 - limits.NODE_FILES_RESERVED_MIN) // 2
    assert len(limit) == 1


@pytest.mark.parametrize("limit", [(256, 256)], indirect=True)
@pytest.mark.usefixtures("limit")
def test_too_few_files_for_a_node() -> None:
    with pytest.raises(OperatorError, match="may open 256 files"):
        connections_each(2)


@pytest.mark.parametrize("limit", [(256, 256)], indirect=True)
@pytest.mark.usefixtures("limit")
def test_systems_without_such_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "_bounded", False)
    assert connections_each(3) == limits.HTTP_CONNECTIONS_MAX
