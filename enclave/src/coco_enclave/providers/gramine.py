"""SGX below Gramine: evidence and sealing keys from the files it shows to an enclave.

The files are those of Gramine's documentation, "Attestation and Secret Provisioning".
Never run on hardware: only against a tree of files that follows that description.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from coco_core.attestation import REPORT_DATA_SIZE_BYTES, Evidence
from coco_core.errors import OperatorError
from coco_enclave.dcap_quote import SGX, parse_quote, read_claims
from coco_enclave.errors import EvidenceError
from coco_enclave.providers.device_tree import DeviceTree, KernelTree
from coco_enclave.seal import SealingKey, SealPolicy
from coco_enclave.verdict import Claims

ROOT: Final = Path("/dev/attestation")
_DCAP: Final = b"dcap"
_KEY_BYTES: Final = 16
_KEYS: Final = {SealPolicy.EXACT: "keys/_sgx_mrenclave", SealPolicy.AUTHOR: "keys/_sgx_mrsigner"}


class GraminePlatform:
    """What a node on Gramine runs on."""

    format = SGX

    def __init__(self, collateral: Callable[[], bytes], tree: DeviceTree | None = None) -> None:
        """Attest with what the vendor publishes now, which ``collateral`` returns."""
        self._collateral = collateral
        self._tree = tree if tree is not None else KernelTree(ROOT)

    def attest(self, report_data: bytes) -> Evidence:
        """Return evidence over 64 bytes; raises OperatorError when the enclave was not made for it."""
        quote = self._quote(report_data)
        return Evidence(format=SGX, quote=quote, endorsements=self._collateral())

    def sealing_key(self, policy: SealPolicy = SealPolicy.EXACT) -> SealingKey:
        """Return the key this code has on this machine; raises OperatorError.

        The processor mixes the firmware's state into it, and Gramine does not tell which.
        """
        claims = self._claims(self._quote(bytes(REPORT_DATA_SIZE_BYTES)))
        secret = self._tree.read(_KEYS[policy])
        if len(secret) != _KEY_BYTES or not any(secret):
            raise OperatorError(f"Gramine's sealing key must be {_KEY_BYTES} bytes, not all zero")
        return SealingKey(
            platform=SGX,
            policy=policy,
            code=claims.measurement if policy is SealPolicy.EXACT else claims.signer,
            svn=claims.svn,
            secret=secret,
        )

    def _quote(self, report_data: bytes) -> bytes:
        if len(report_data) != REPORT_DATA_SIZE_BYTES:
            raise OperatorError(f"evidence is made over {REPORT_DATA_SIZE_BYTES} bytes")
        kind = self._tree.read("attestation_type").strip()
        if kind != _DCAP:
            raise OperatorError(
                f"this enclave attests by {kind.decode(errors='replace')!r}: "
                'its manifest needs sgx.remote_attestation = "dcap"'
            )
        self._tree.write("user_report_data", report_data)
        quote = self._tree.read("quote")
        if self._claims(quote).report_data != report_data.hex():
            raise OperatorError("Gramine made a quote over other bytes: somebody else asked in between")
        return quote

    def _claims(self, quote: bytes) -> Claims:
        try:
            return read_claims(parse_quote(quote))
        except EvidenceError as error:
            raise OperatorError(f"Gramine's quote cannot be read: {error}") from error
