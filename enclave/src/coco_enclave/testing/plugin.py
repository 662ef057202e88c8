"""Simulated machines as platforms for nodes: only ever for development, and only where a policy says so.

::

    "platform": {"name": "simulated-snp", "machine": "snp.machine", "code": "…", "host_data": "44…"}
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from coco_core.attestation import PlatformOptions, PlatformPlugin, hookimpl
from coco_core.errors import OperatorError
from coco_enclave.errors import EvidenceError
from coco_enclave.testing.machines import CODE, KINDS, Machine, SimulatedPlatform

_HOST_DATA: Final = re.compile("[0-9a-f]{64}")


@hookimpl
def coco_register_platforms(register: Callable[[PlatformPlugin], None]) -> None:
    """Register a platform for every kind of machine."""
    for kind in KINDS:
        register(
            PlatformPlugin(
                name=f"simulated-{kind}",
                options=frozenset({"machine", "code", "host_data"}),
                create=_creator(kind),
            )
        )


def _creator(kind: str) -> Callable[[PlatformOptions], SimulatedPlatform]:
    def create(options: PlatformOptions) -> SimulatedPlatform:
        host_data = options.text("host_data", "00" * 32)
        if not _HOST_DATA.fullmatch(host_data):
            raise OperatorError("'platform.host_data' must be 32 bytes in lower-case hex")
        try:
            machine = Machine.from_bytes(kind, options.file("machine")())
        except EvidenceError as error:
            raise OperatorError(f"'platform.machine' is no simulated {kind} machine: {error}") from error
        return SimulatedPlatform(
            machine=machine, code=options.text("code", CODE), host_data=bytes.fromhex(host_data)
        )

    return create
