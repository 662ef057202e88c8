"""Processors of the integer-key family that this machine has, as processes to run. Knows files only."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs

from coco_core.adapter import Companion
from coco_core.errors import OperatorError

PYTHON: Final = "python"
JAVASCRIPT: Final = "javascript"
ENDPOINT: Final = "{endpoint}"
"""What stands in a command for where to connect to."""
_FOLDERS: Final = Path(__file__).resolve().parents
# Installed from a wheel there need not be so many folders above this one, nor a checkout.
_ROOT: Final = _FOLDERS[min(5, len(_FOLDERS) - 1)]
_EXAMPLES: Final = _ROOT / "adapters" / "sawtooth" / "examples"
# In a checkout, where `make sawtooth-clients` puts them.
_PYTHON_SDK: Final = _ROOT / ".venv-sawtooth"
_JAVASCRIPT_SDK: Final = _ROOT / ".cache" / "sawtooth-javascript"


@attrs.frozen(kw_only=True)
class Processor:
    """A processor that can be started, as often as wanted."""

    name: str
    command: tuple[str, ...]
    """One of its words holds ENDPOINT."""
    environment: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """Variables beside those of this process."""

    def companion(self, endpoint: str) -> Companion:
        """Return one that connects to ``endpoint``."""
        # Ours would have another Python load our packages.
        ours = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        return Companion(
            command=[word.replace(ENDPOINT, endpoint) for word in self.command],
            environment={**ours, **self.environment},
        )


def find_processor(command: str, sdk: str) -> Processor:
    """Return the processor that ``command`` starts, or unless it says one, the example on an ``sdk``.

    Raises OperatorError for a command that is none or has no endpoint, and for an SDK that is unknown or not
    installed.
    """
    if command:
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise OperatorError(f"processor={command}: {error}") from None
        if ENDPOINT not in command:
            raise OperatorError(f"processor={command}: expected {ENDPOINT} where it takes what to connect to")
        program = shutil.which(words[0])
        if program is None:
            raise OperatorError(f"processor={command}: there is no program {words[0]!r}")
        return Processor(name=Path(words[0]).name, command=(program, *words[1:]))
    if sdk == PYTHON:
        python = _PYTHON_SDK / "bin" / "python"
        if not (_PYTHON_SDK / ".ready").exists():
            raise _missing("Python")
        script = str(_EXAMPLES / "python" / "intkey.py")
        return Processor(name="a processor on the Python SDK", command=(str(python), script, ENDPOINT))
    if sdk == JAVASCRIPT:
        node = shutil.which("node")
        if node is None or not (_JAVASCRIPT_SDK / ".ready").exists():
            raise _missing("JavaScript")
        return Processor(
            name="a processor on the JavaScript SDK",
            command=(node, str(_EXAMPLES / "javascript" / "intkey.js"), ENDPOINT),
            environment={"NODE_PATH": str(_JAVASCRIPT_SDK / "node_modules")},
        )
    raise OperatorError(f"sdk={sdk}: expected {PYTHON} or {JAVASCRIPT}")


def _missing(language: str) -> OperatorError:
    return OperatorError(
        f"no Sawtooth SDK for {language} here: make sawtooth-clients in a checkout,"
        f" or name a processor of the family (--arg processor='COMMAND {ENDPOINT}')"
    )
