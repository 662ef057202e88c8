"""Judging the evidence in the certificate of a node that answers: which code may run there, and what does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import click

from coco_core.attestation import Verdict, known_verifiers
from coco_core.crypto import Certificate
from coco_core.errors import OperatorError
from coco_core.governance import admit_certified, policy_of
from coco_core.node import utc_now

Command = TypeVar("Command", bound=Callable[..., object])


def measurements(*, required: bool) -> Callable[[Command], Command]:
    """Return what gives a command ``--measurement``, any number of times, as ``accepted``."""
    return click.option(
        "--measurement",
        "accepted",
        multiple=True,
        required=required,
        help="Code that may run there, PLATFORM:HEX; may be given again.",
    )


def judge(certificate: Certificate, accepted: Sequence[str]) -> Verdict:
    """Return what runs at the node with that certificate, which must be ``accepted`` (PLATFORM:HEX).

    Raises OperatorError for what is no measurement, and AttestationError when there is no evidence, it is of
    other code, or not bound to the key of the certificate.
    """
    policy = policy_of(pairs(accepted))
    return admit_certified(certificate, known_verifiers(), policy, int(utc_now().timestamp()))


def pairs(accepted: Sequence[str]) -> list[tuple[str, str]]:
    """Return platforms and measurements of ``--measurement``; raises OperatorError for what is none."""
    found = [one.rpartition(":") for one in accepted]
    if not all(platform and measurement for platform, _, measurement in found):
        raise OperatorError("--measurement: expected PLATFORM:HEX, for example Insecure_Virtual:0123…")
    return [(platform, measurement) for platform, _, measurement in found]
