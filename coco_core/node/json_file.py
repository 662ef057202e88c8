"""A file that holds one JSON object: what operators write by hand, and are told of when it is not one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from coco_core.errors import OperatorError


def read_json_object(path: Path, what: str) -> dict[str, Any]:
    """Return the JSON object in a file; raises OperatorError that calls it the ``what`` file."""
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise OperatorError(f"{what} file {path}: {error.strerror}") from error
    except ValueError as error:
        raise OperatorError(f"{what} file {path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise OperatorError(f"{what} file {path} does not hold a JSON object")
    return value
