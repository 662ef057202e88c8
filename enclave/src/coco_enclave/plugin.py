"""The pluggy hooks that register the platforms of this distribution. A network's policy decides."""

from __future__ import annotations

from collections.abc import Callable

from coco_core.attestation import Examiner, Verifier, hookimpl
from coco_enclave.describe import TeeExaminer
from coco_enclave.verifiers import TeeVerifier
from coco_enclave.verify import VERIFIERS


@hookimpl
def coco_register_verifiers(register: Callable[[Verifier], None]) -> None:
    """Register one verifier for every kind of evidence."""
    for kind in VERIFIERS:
        register(TeeVerifier(kind))


@hookimpl
def coco_register_examiners(register: Callable[[Examiner], None]) -> None:
    """Register the examiner of all of them."""
    register(TeeExaminer())
