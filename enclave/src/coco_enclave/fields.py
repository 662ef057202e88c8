"""Reading a policy's JSON strictly: a field that is misspelt, or of another type, is refused, never ignored.

Pure. What the fields mean is the policy's business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from coco_enclave import limits
from coco_enclave.errors import EvidenceError

_HEX: Final = re.compile("(?:[0-9a-f]{2})+")
_TEXT_MAX: Final = 256


class Fields:
    """The fields of one JSON object, taken out one by one; ``finish`` refuses what is left."""

    def __init__(self, value: object, where: str) -> None:
        """Read ``value``, named ``where`` in refusals; raises EvidenceError (``policy``) for no object."""
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            raise EvidenceError("policy", f"{where} must be a JSON object")
        self._left: dict[str, Any] = dict(value)
        self._where = where

    def flag(self, name: str, default: bool) -> bool:
        """Return true or false; raises EvidenceError (``policy``)."""
        value = self._left.pop(name, default)
        if type(value) is not bool:
            raise self.refusal(f"{name!r} must be true or false")
        return value

    def number(self, name: str, default: int) -> int:
        """Return a whole number from 0; raises EvidenceError (``policy``)."""
        value = self._left.pop(name, default)
        if type(value) is not int or value < 0:
            raise self.refusal(f"{name!r} must be a whole number from 0")
        return value

    def text(self, name: str, default: str) -> str:
        """Return a short text; raises EvidenceError (``policy``)."""
        return self._text(self._left.pop(name, default), name)

    def texts(self, name: str, default: frozenset[str] = frozenset()) -> frozenset[str]:
        """Return a set of short texts; raises EvidenceError (``policy``)."""
        value = self._left.pop(name, sorted(default))
        if not isinstance(value, list) or len(value) > limits.POLICY_LIST_MAX:
            raise self.refusal(f"{name!r} must be a list of at most {limits.POLICY_LIST_MAX}")
        return frozenset(self._text(one, name) for one in value)

    def digests(self, name: str, default: frozenset[str] = frozenset()) -> frozenset[str]:
        """Return a set of lower-case hex texts; raises EvidenceError (``policy``)."""
        found = self.texts(name, default)
        if not all(_HEX.fullmatch(one) for one in found):
            raise self.refusal(f"{name!r} must be a list of lower-case hex")
        return found

    def digests_or_any(self, name: str) -> frozenset[str] | None:
        """Return a set of lower-case hex texts, None for ``"any"``; raises EvidenceError (``policy``)."""
        if self._left.get(name) == "any":
            del self._left[name]
            return None
        return self.digests(name)

    def mapping(self, name: str) -> Mapping[str, Any]:
        """Return a JSON object, empty where it is missing; raises EvidenceError (``policy``)."""
        value = self._left.pop(name, {})
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise self.refusal(f"{name!r} must be a JSON object")
        return value

    def finish(self) -> None:
        """Check that nothing is left; raises EvidenceError (``policy``)."""
        if self._left:
            raise self.refusal(f"unknown field {min(self._left)[:64]!r}")

    def refusal(self, message: str) -> EvidenceError:
        """Return the error that says where ``message`` is true."""
        return EvidenceError("policy", f"{self._where}: {message}")

    def _text(self, value: object, name: str) -> str:
        if not isinstance(value, str) or not value.isprintable() or len(value) > _TEXT_MAX:
            raise self.refusal(f"{name!r} must be printable text of at most {_TEXT_MAX} characters")
        return value
