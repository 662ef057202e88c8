"""Which engines exist, which of them are installed, and how to get the others.

This room imports an engine only when asked to load it: py-evm alone costs a second. A network's
genesis names its engine; what happens to be installed never decides.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Final, cast

import attrs

from coco_core.errors import OperatorError
from coco_ethereum.engine import EvmEngine


@attrs.frozen(kw_only=True)
class EngineInfo:
    """One engine this package knows how to load."""

    name: str
    """What genesis names."""
    requires: str
    """Module that must be importable."""
    install: str
    """Distribution that brings it."""
    module: str
    """Our wrapper."""
    factory: str
    """Name of the class in it, made without arguments."""

    @property
    def installed(self) -> bool:
        """Whether it can be loaded here."""
        return find_spec(self.requires) is not None


ENGINES: Final = (
    EngineInfo(
        name="revm",
        requires="coco_ethereum_revm",
        install="coco-framework-ethereum[revm]",
        module="coco_ethereum.engines.revm",
        factory="RevmEngine",
    ),
    EngineInfo(
        name="py-evm",
        requires="eth",
        install="coco-framework-ethereum",
        module="coco_ethereum.engines.pyevm",
        factory="PyEvmEngine",
    ),
)
"""Known engines, the preferred one first."""


def available() -> list[EngineInfo]:
    """Return the installed engines, the preferred one first: a new network's default."""
    return [info for info in ENGINES if info.installed]


def load(name: str) -> EvmEngine:
    """Return an engine by name; raises OperatorError, saying how to get it, if it cannot be had."""
    for info in ENGINES:
        if info.name == name:
            break
    else:
        known = ", ".join(info.name for info in ENGINES)
        raise OperatorError(f"no EVM engine is called {name!r}; known are {known}")
    if not info.installed:
        raise OperatorError(f"the EVM engine {name} is not installed: pip install '{info.install}'")
    factory = cast("Callable[[], EvmEngine]", getattr(import_module(info.module), info.factory))
    return factory()
