"""Reading an operator's tables: every fault is named by its field. Knows notation only.

Every function raises OperatorError of the form ``where.field: what is wrong``.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from coco_core.errors import MalformedError, OperatorError
from coco_sawtooth.signing import canonical_key

_PRIVATE_KEY: Final = re.compile(r"[0-9a-fA-F]{64}")


def only(values: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    """Refuse names outside ``known``: a misspelt one must not be a silent default."""
    for name in values:
        if name not in known:
            raise OperatorError(f"{where}.{name}: not known; expected one of {', '.join(sorted(known))}")


def strings(values: Mapping[str, Any], name: str, where: str, *, most: int) -> Sequence[str]:
    """Return the list of strings ``values[name]``, empty when absent."""
    found = values.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise OperatorError(f"{where}.{name}: expected a list of strings")
    if len(found) > most:
        raise OperatorError(f"{where}.{name}: {len(found)} entries, {most} at most")
    return found


def table_of_strings(values: Mapping[str, Any], name: str, where: str, *, most: int) -> Mapping[str, str]:
    """Return the table of strings ``values[name]``, empty when absent."""
    found = values.get(name, {})
    if not isinstance(found, Mapping) or not all(isinstance(each, str) for each in found.values()):
        raise OperatorError(f"{where}.{name}: expected a table of strings")
    if len(found) > most:
        raise OperatorError(f"{where}.{name}: {len(found)} entries, {most} at most")
    return found


def private_key(values: Mapping[str, Any], name: str, where: str) -> bytes | None:
    """Return the 32 bytes of the private key ``values[name]``, None when absent."""
    text = values.get(name)
    if text is None:
        return None
    # What is wrong with it is not repeated: it is a secret.
    if not isinstance(text, str) or not _PRIVATE_KEY.fullmatch(text):
        raise OperatorError(f"{where}.{name}: expected 64 hex digits")
    return bytes.fromhex(text)


def public_key(text: str, where: str) -> str:
    """Return a public key in its canonical form."""
    try:
        return canonical_key(text)
    except MalformedError as error:
        raise OperatorError(f"{where}: {error}") from None


def base64_data(text: str, where: str) -> bytes:
    """Return the bytes that ``text`` writes in base64."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise OperatorError(f"{where}: not base64") from None
