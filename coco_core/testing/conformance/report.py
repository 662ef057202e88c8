"""What checking an installed adapter found: for people, and for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from coco_core.adapter import API

PASSED: Final = "passed"
FAILED: Final = "failed"
OVERRIDDEN: Final = "overridden"


@attrs.frozen(kw_only=True)
class Finding:
    """What became of one test."""

    test: str
    outcome: str
    """``passed``, ``failed`` or ``overridden``."""
    proves: str = ""
    """What the test is there for, in one line; empty for tests that are not the kit's."""
    message: str = ""
    """Of a failure what was found; of an override the reason."""
    mend: str = ""
    """How failures of this test are mended."""
    duration_s: float = 0.0


@attrs.frozen(kw_only=True)
class Report:
    """What became of all tests of one adapter."""

    adapter: str
    version: str
    findings: Sequence[Finding]

    @property
    def failed(self) -> Sequence[Finding]:
        """Those that failed."""
        return [one for one in self.findings if one.outcome == FAILED]

    def to_json(self) -> Mapping[str, Any]:
        """Return what programs read; names stay as they are while the contract's version does."""
        return {
            "adapter": self.adapter,
            "version": self.version,
            "contract": API,
            "passed": not self.failed,
            "tests": [attrs.asdict(one) for one in self.findings],
        }

    def lines(self) -> Sequence[str]:
        """Return what people read: what failed and how to mend it first, then how much was tried."""
        lines = [f"{self.adapter} {self.version}, contract {API}"]
        for one in self.failed:
            lines += ["", f"FAILED {one.test}", *_indented(one.proves)]
            lines += [*_indented(f"Found: {one.message}"), *_indented(one.mend)]
        for one in self.findings:
            if one.outcome == OVERRIDDEN:
                lines += ["", f"OVERRIDDEN {one.test}", *_indented(f"Reason: {one.message}")]
        count = {outcome: sum(one.outcome == outcome for one in self.findings) for outcome in _OUTCOMES}
        told = ", ".join(f"{number} {outcome}" for outcome, number in count.items() if number)
        lines += ["", f"{len(self.findings)} tests: {told}"]
        return lines


_OUTCOMES: Final = (PASSED, FAILED, OVERRIDDEN)


def _indented(text: str) -> list[str]:
    return [f"  {line}" for line in text.splitlines() if line.strip()]
