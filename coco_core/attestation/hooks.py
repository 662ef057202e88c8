"""How platforms are found: pluggy hooks that only register who judges evidence, explains it and makes it.

*Installed is not enabled*: which platforms a network accepts is in its ledger, whatever is installed, and
which one a node runs on is in its settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import attrs
import pluggy

from coco_core.attestation.evidence import Evidence
from coco_core.attestation.verifier import Platform, Verifier
from coco_core.errors import OperatorError

PROJECT: Final = "coco"
ENTRY_POINT_GROUP: Final = "coco.attestation"
"""Modules that register verifiers and examiners: all of them are loaded."""
PLATFORMS_ENTRY_POINT_GROUP: Final = "coco.platforms"
"""Modules that register platforms, by the platform's name: the one a node runs on is loaded."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@attrs.frozen(kw_only=True)
class Finding:
    """What evidence proves, for a person."""

    format: str
    status: str
    """``affirming``, ``warning`` or ``contraindicated``; ``none`` for what was only read."""
    code: str = ""
    """The rule that refused, empty otherwise."""
    reason: str = ""
    claims: Mapping[str, Any] = attrs.field(factory=dict)
    """What it says, as JSON values."""
    details: Mapping[str, Any] = attrs.field(factory=dict)
    """What else the verdict says (root, validity, policy, why it is a warning), as JSON values."""
    caveats: Sequence[str] = ()
    """What evidence of this kind does not prove, a sentence each."""


class Examiner(Protocol):
    """Reads evidence from files and explains it, for ``coco attest``."""

    @property
    def formats(self) -> frozenset[str]:
        """Which evidence it knows."""
        ...

    def read(self, data: bytes) -> Evidence | None:
        """Return the evidence a file holds, None when it is none of the formats known here."""
        ...

    def with_collateral(self, evidence: Evidence, files: Sequence[bytes]) -> Evidence:
        """Return evidence with what it is to be judged by, as its verifier reads that.

        ``files`` are in the forms vendors publish them in; without any, what came with the evidence counts.
        Raises AttestationError where nothing in them is for this evidence.
        """
        ...

    def show(self, evidence: Evidence) -> Finding:
        """Return what evidence says, nothing of it checked; raises AttestationError."""
        ...

    def judge(
        self, evidence: Evidence, policy: bytes | None, expected_report_data: bytes | None, now_s: int
    ) -> Finding:
        """Return the verdict, also one that refuses.

        ``policy`` is a file in the examiner's own form; None looks at the platform alone and accepts any
        code. Without ``expected_report_data`` it is not checked what the evidence was made for. Raises
        AttestationError for a policy that cannot be read.
        """
        ...


@attrs.frozen
class PlatformOptions:
    """What an operator says of the platform a node runs on; all of it is named in the node's settings."""

    values: Mapping[str, Any] = attrs.field(factory=dict)
    read: Callable[[str], bytes] = attrs.field(kw_only=True, repr=False)
    """Returns a file, named as in the settings, as it is at that time; raises OperatorError."""

    def text(self, name: str, default: str | None = None) -> str:
        """Return an option that is text; raises OperatorError when it is missing or something else."""
        value = self.values.get(name, default)
        if not isinstance(value, str):
            raise OperatorError(f"'platform.{name}' must be text")
        return value

    def number(self, name: str, default: int) -> int:
        """Return an option that is a whole number from 0; raises OperatorError when it is something else."""
        value = self.values.get(name, default)
        if type(value) is not int or value < 0:
            raise OperatorError(f"'platform.{name}' must be a whole number from 0")
        return value

    def file(self, name: str) -> Callable[[], bytes]:
        """Return what reads the file an option names, anew each time; raises OperatorError when none is.

        So that what a vendor publishes can be replaced while the node runs. It is read once here, for a
        missing file to be told of when the node starts.
        """
        path = self.text(name)
        self.read(path)
        return lambda: self.read(path)


@attrs.frozen(kw_only=True)
class PlatformPlugin:
    """A platform that nodes may run on."""

    name: str
    """What settings call it: that of the format of its evidence, or another, as simulators have."""
    options: frozenset[str]
    """What settings may say of it."""
    create: Callable[[PlatformOptions], Platform]
    """Raises OperatorError when this machine is not such a platform, or something is not said."""


@hookspec
def coco_register_verifiers(register: Callable[[Verifier], None]) -> None:
    """Call ``register`` once for every format of evidence this distribution can judge."""


@hookspec
def coco_register_examiners(register: Callable[[Examiner], None]) -> None:
    """Call ``register`` once for every examiner this distribution brings."""


@hookspec
def coco_register_platforms(register: Callable[[PlatformPlugin], None]) -> None:
    """Call ``register`` once for every platform this module makes."""
