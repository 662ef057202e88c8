"""How platforms are found: pluggy hooks that only register who judges evidence, and who explains it.

*Installed is not enabled*: which platforms a network accepts is in its ledger, whatever is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import attrs
import pluggy

from coco_core.attestation.evidence import Evidence
from coco_core.attestation.verifier import Verifier

PROJECT: Final = "coco"
ENTRY_POINT_GROUP: Final = "coco.attestation"

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

    def read(self, data: bytes) -> Evidence | None:
        """Return the evidence a file holds, None when it is none of the formats known here."""
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


@hookspec
def coco_register_verifiers(register: Callable[[Verifier], None]) -> None:
    """Call ``register`` once for every format of evidence this distribution can judge."""


@hookspec
def coco_register_examiners(register: Callable[[Examiner], None]) -> None:
    """Call ``register`` once for every examiner this distribution brings."""
