"""Azure's confidential VMs on TDX: as ``azure``, with a quote of Intel's in the place of AMD's report.

The paravisor runs without SEPT_VE_DISABLE, which leaves page faults to the host: Intel's own verification
refuses that, and so does this one (``td_attributes``). All that comes before is checked, so that the answer
is about the platform and not about bytes that were never genuine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from coco_enclave import limits, tpm
from coco_enclave.azure import HCL, QUOTE, REGISTERS, SIGNATURE, guest_measurement, split_registers
from coco_enclave.dcap import DcapVerifier
from coco_enclave.dcap_quote import TDX, parse_quote, read_claims, report_data
from coco_enclave.errors import EvidenceError
from coco_enclave.evidence import decode_parts
from coco_enclave.hcl import TDX as TDX_HARDWARE
from coco_enclave.hcl import HclReport, attestation_key, parse_hcl
from coco_enclave.policy import PlatformPolicy
from coco_enclave.verdict import Claims, Verdict

KIND: Final = "azure-tdx"
TD_QUOTE: Final = "td_quote"


class AzureTdxVerifier:
    """Judges confidential VMs on TDX."""

    def read(self, quote: bytes) -> Claims:
        """Return what evidence says of itself; raises EvidenceError."""
        parts = _parts(quote)
        quoted = tpm.parse_quote(parts[QUOTE])
        values = split_registers(parts[REGISTERS])
        registers = {index: values[index] for _, index in quoted.registers}
        return _claims(read_claims(parse_quote(parts[TD_QUOTE])), quoted, registers)

    def verify(
        self, quote: bytes, collateral: bytes, policy: PlatformPolicy, expected_report_data: bytes, now_s: int
    ) -> Verdict:
        """Return the verdict; raises EvidenceError.

        Collateral is that of ``tdx``. Codes in the order of the rules: ``tpm_nonce``, ``hcl_binding``,
        ``ak``, ``signature``, ``tpm_digest``, those of ``tdx``, ``measurement``.
        """
        parts = _parts(quote)
        hcl = parse_hcl(parts[HCL])
        if hcl.hardware_type != TDX_HARDWARE:
            raise EvidenceError("kind", "HCL report: the hardware is not TDX")
        quoted = tpm.parse_quote(parts[QUOTE])
        tpm.check_nonce(quoted, expected_report_data)
        bound = _check_binding(hcl, parts[TD_QUOTE])
        tpm.check_signature(quoted, tpm.bare_signature(parts[SIGNATURE]), attestation_key(hcl))
        registers = tpm.check_registers(quoted, split_registers(parts[REGISTERS]), tpm.SHA256, ())
        # What names the code is known only with the registers; the quote alone is of the paravisor.
        of_paravisor = attrs.evolve(policy, measurements=None)
        verdict = DcapVerifier(TDX).verify(parts[TD_QUOTE], collateral, of_paravisor, bound, now_s)
        genuine = verdict.claims or read_claims(parse_quote(parts[TD_QUOTE]))
        claims = _claims(genuine, quoted, registers)
        if policy.measurements is not None and claims.measurement not in policy.measurements:
            raise EvidenceError("measurement", f"code measurement {claims.measurement} is not accepted")
        return attrs.evolve(verdict, claims=claims)


def _parts(quote: bytes) -> dict[str, bytes]:
    required = {HCL, TD_QUOTE, QUOTE, SIGNATURE, REGISTERS}
    return decode_parts(quote, required, size_max_bytes=limits.EVIDENCE_SIZE_MAX_BYTES)


def _check_binding(hcl: HclReport, td_quote: bytes) -> bytes:
    """Return the quote's 64 bytes after checking that they are of the paravisor's keys."""
    bound = hcl.data_digest.ljust(64, b"\0")
    if report_data(parse_quote(td_quote)) != bound:
        raise EvidenceError("hcl_binding", "HCL report: the hardware vouches for other keys")
    return bound


def _claims(td: Claims, quoted: tpm.TpmQuote, registers: Mapping[int, bytes]) -> Claims:
    named = {str(index): value.hex() for index, value in sorted(registers.items())}
    return attrs.evolve(
        td,
        platform=KIND,
        measurement=guest_measurement(bytes.fromhex(td.measurement), registers),
        report_data=quoted.nonce.hex(),
        more={**td.more, "paravisor": td.measurement, "registers": named},
    )
