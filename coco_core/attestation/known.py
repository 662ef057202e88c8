"""The platforms this framework can judge: the virtual one, and those of installed distributions.

What is installed is part of the code, as what is imported is: it is looked up once in a process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any

import pluggy

from coco_core.attestation import hooks
from coco_core.attestation.hooks import ENTRY_POINT_GROUP, PROJECT, Examiner
from coco_core.attestation.verifier import Verifier
from coco_core.attestation.virtual import VirtualVerifier
from coco_core.errors import OperatorError


@cache
def known_verifiers() -> Mapping[str, Verifier]:
    """Return who judges evidence, by its format.

    Raises OperatorError when an installed platform cannot be used, or claims a format another has.
    """
    virtual = VirtualVerifier()
    found: dict[str, Verifier] = {virtual.format: virtual}

    def register(verifier: Verifier) -> None:
        if verifier.format in found:
            raise OperatorError(f"two installed platforms judge evidence of format {verifier.format!r}")
        found[verifier.format] = verifier

    _installed().hook.coco_register_verifiers(register=register)
    return MappingProxyType(found)


@cache
def known_examiners() -> Sequence[Examiner]:
    """Return who explains evidence; raises OperatorError when an installed platform cannot be used."""
    found: list[Examiner] = []
    _installed().hook.coco_register_examiners(register=found.append)
    return tuple(found)


@cache
def _installed() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hooks)
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda one: one.name):
        try:
            module: Any = point.load()
            manager.register(module)
            manager.check_pending()
        except (ImportError, AttributeError, ValueError, pluggy.PluginValidationError) as error:
            raise OperatorError(f"platforms of {point.name!r} cannot be used: {error}") from error
    return manager
