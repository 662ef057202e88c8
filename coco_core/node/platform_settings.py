"""The part of a node's settings that says which platform it runs on, and what that is to be told.

::

    "platform": "snp"                          a platform that is installed, with nothing more to say
    "platform": {"name": "sgx", "collateral": "intel.json"}    with options; files relative to the settings
    "platform": "machine.json"                 the same object in a file; files in it relative to that one
    "virtual": {"measurement": "…"}            of the virtual platform, which is the one unless given

Knows no platform: what options there are is each one's own business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from coco_core.attestation import PlatformOptions
from coco_core.base import limits
from coco_core.errors import OperatorError
from coco_core.node.json_file import read_json_object

VIRTUAL: Final = "virtual"
_FILE_SUFFIX: Final = ".json"
_NAME: Final = re.compile("[a-z][a-z0-9-]{0,63}")
_DIGEST: Final = re.compile("[0-9a-f]{64}")


@attrs.frozen(kw_only=True)
class PlatformSettings:
    """Which platform, and what its operator says of it."""

    name: str = VIRTUAL
    options: Mapping[str, Any] = attrs.field(factory=dict)
    base: Path = Path()
    """What files in ``options`` are relative to."""

    def hand_out(self) -> PlatformOptions:
        """Return what the platform itself is given."""
        return PlatformOptions(values=self.options, read=self._read)

    def _read(self, name: str) -> bytes:
        """Return a file as it is now; raises OperatorError."""
        path = self.base / name
        try:
            with path.open("rb") as file:
                data = file.read(limits.EVIDENCE_FILE_MAX_BYTES + 1)
        except OSError as error:
            raise OperatorError(f"platform {self.name}: {path}: {error.strerror or error}") from error
        if len(data) > limits.EVIDENCE_FILE_MAX_BYTES:
            raise OperatorError(
                f"platform {self.name}: {path}: more than {limits.EVIDENCE_FILE_MAX_BYTES} bytes"
            )
        return data


def read_platform(raw: Mapping[str, Any], base: Path, faults: list[str]) -> PlatformSettings:
    """Return what the settings ``raw`` say; what is wrong is added to ``faults``."""
    measurement = _virtual(raw.get("virtual"), faults)
    options: dict[str, Any]
    said = raw.get("platform", VIRTUAL)
    if isinstance(said, str) and said.endswith(_FILE_SUFFIX):
        path = base / said
        base = path.parent
        try:
            said = read_json_object(path, "platform")
        except OperatorError as error:
            faults.append(f"'platform': {error}")
            return PlatformSettings()
    match said:
        case str(name):
            options = {}
        case {"name": str(name), **rest}:
            options = {str(option): value for option, value in rest.items()}
        case _:
            name, options = "", {}
    if not _NAME.fullmatch(name):
        faults.append(
            "'platform' must be a platform's name, an object with 'name' and options, or a .json file with it"
        )
        return PlatformSettings()
    if name != VIRTUAL:
        if measurement:
            faults.append(f"'virtual' is for the virtual platform, not for {name!r}")
        return PlatformSettings(name=name, options=options, base=base)
    if options:
        faults.append("'platform': what the virtual platform is told is in 'virtual'")
    return PlatformSettings(options=measurement)


def _virtual(value: Any, faults: list[str]) -> Mapping[str, str]:
    match value:
        case None:
            return {}
        case {"measurement": str(measurement), **rest} if not rest and _DIGEST.fullmatch(measurement):
            return {"measurement": measurement}
    faults.append("'virtual' must be {\"measurement\": 64 hex digits in lower case}")
    return {}
