"""Certificates of the service and its nodes issued anew: over the same keys, for another time.

Members decide on the time, within the bounds of the service's configuration; whoever executes has the
service's key and issues. A renewed certificate says what the old one said, the node's standing evidence
included. One that would not be valid at the moment of the decision is not issued: clients would be locked
out.

Knows certificates and times; where they are kept is ``decision``'s and ``actions_network``'s.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Any, Final

import attrs

from coco_core.base import utc
from coco_core.crypto import Certificate, PrivateKey, renewed
from coco_core.errors import AttestationError, MemberError

_FORMS: Final = "a time in UTC, like 2026-01-31T00:00:00Z or 260131000000Z"
# Python's own reading of ISO 8601 grows with its versions, and who audits may run another one.
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)", re.ASCII)
_ASN1: Final = re.compile(r"\d{12}Z", re.ASCII)


@attrs.frozen
class Validity:
    """From when until when a certificate is valid."""

    not_before: datetime.datetime
    not_after: datetime.datetime

    def check(self, time_ms: int) -> None:
        """Raise MemberError unless a certificate with this validity is valid at that Unix time."""
        at = utc(time_ms)
        if not self.not_before <= at <= self.not_after:
            raise MemberError(
                f"a certificate from {self.not_before} to {self.not_after} would not be valid now"
            )


Renew = Callable[[Certificate, Validity], str]
"""Returns a certificate (PEM) issued anew; raises MemberError for one that the service did not issue."""


def renewal_by(key: PrivateKey) -> Renew:
    """Return how whoever holds the service's ``key`` renews what it issued."""

    def renew(certificate: Certificate, validity: Validity) -> str:
        try:
            return renewed(certificate, key, not_before=validity.not_before, not_after=validity.not_after)
        except AttestationError as error:
            raise MemberError(str(error)) from error

    return renew


def read_start(value: Any) -> datetime.datetime:
    """Return a ``valid_from``; raises MemberError for anything but a time in UTC, in CCF's two forms."""
    if not isinstance(value, str) or len(value) > 40:
        raise MemberError(f"'valid_from' must be {_FORMS}")
    try:
        if _ASN1.fullmatch(value):
            found = datetime.datetime.strptime(value, "%y%m%d%H%M%SZ").replace(tzinfo=datetime.UTC)
        elif _ISO.fullmatch(value):
            found = datetime.datetime.fromisoformat(value)
        else:
            raise MemberError(f"'valid_from' must be {_FORMS}")
    except ValueError as error:
        raise MemberError(f"'valid_from' must be {_FORMS}: {error}") from error
    if found < utc(0):
        raise MemberError(f"'valid_from' must be {_FORMS}, from 1970 on")
    return found.replace(microsecond=0)


def validity_of(start: datetime.datetime, days: int | None, maximum_days: int) -> Validity:
    """Return the validity of ``days`` from ``start``, as many as may be when None; raises MemberError."""
    days = maximum_days if days is None else days
    if days > maximum_days:
        raise MemberError(
            f"'validity_period_days' is {days}, and the service's configuration allows {maximum_days}"
        )
    try:
        # Both ends belong to it (RFC 5280 §4.1.2.5).
        return Validity(start, start + datetime.timedelta(days=days, seconds=-1))
    except OverflowError as error:
        raise MemberError(f"'valid_from' and {days} days: {error}") from error
