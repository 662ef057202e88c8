"""SGX and TDX evidence, judged by two verifiers that must agree: this one, and a library's (dcap-qvl).

Pure. This one decides who signed what, in which role, for which platform, and when; the library decides what
Intel says of the platform's firmware. Either may refuse. The library alone would accept TCB info that a
platform's own key signed, an old form of it, collateral of two evaluations or of another PCE, and revocation
lists of the future. A quote is malleable (padding, text around certificates): its hash names nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import attrs
import dcap_qvl
from cryptography import x509

from coco_enclave import certificates
from coco_enclave.anchors import INTEL_ANCHORS, check_anchor
from coco_enclave.checks import check_claims, check_report_data, conclude
from coco_enclave.dcap_collateral import (
    DcapCollateral,
    check_identity,
    check_signers,
    parse_collateral,
    window_s,
)
from coco_enclave.dcap_quote import (
    INTEL_QE_VENDOR,
    PCK_CHAIN,
    REGISTERS,
    SGX,
    DcapQuote,
    parse_quote,
    read_claims,
    report_data,
)
from coco_enclave.errors import EvidenceError
from coco_enclave.fields import Fields
from coco_enclave.policy import PlatformPolicy, check_known
from coco_enclave.verdict import Claims, Verdict

_CODES: Final[Mapping[str, str]] = {
    "Debug mode": "debug",
    "SEPT_VE_DISABLE": "td_attributes",
    "MR service TD": "td_attributes",
    "TD attributes": "td_attributes",
    "TD profiling": "td_attributes",
    "TD migration": "td_attributes",
    "No matching TCB level": "tcb_none",
    "TCB status is invalid": "tcb_status",
    "TDX module": "td_module",
    "QE ": "qe",
    "CrlExpired": "collateral_time",
    "expired": "collateral_time",
    "in the future": "collateral_time",
    "CertRevoked": "revoked",
}
"""What the library's refusals contain, looked for in this order -> our codes; ``library`` otherwise."""

TCB_STATUSES: Final = frozenset(
    {
        *("UpToDate", "SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded"),
        *("OutOfDate", "OutOfDateConfigurationNeeded"),
        *("TDRelaunchAdvised", "TDRelaunchAdvisedConfigurationNeeded"),
    }
)
"""What Intel may say of firmware that a policy can accept; what is revoked none can."""
_FMSPC: Final = re.compile("[0-9a-f]{12}")
_ADVISORY: Final = re.compile("INTEL-SA-[0-9]{5}")

_SERVICE_TDS: Final = ("service_td_at_first", "service_td_now")
"""Who may migrate a trust domain, and so read it: the library looks at ``mr_service_td`` alone, and what is
bound later is not in that."""


class DcapVerifier:
    """Judges evidence of one kind, ``sgx`` or ``tdx``."""

    def __init__(self, kind: str) -> None:
        """Judge evidence of this kind only: a quote of the other is not what its label says."""
        self._kind = kind

    def read(self, quote: bytes) -> Claims:
        """Return what a quote says of itself, nothing of it checked; raises EvidenceError."""
        return read_claims(parse_quote(quote))

    def verify(
        self, quote: bytes, collateral: bytes, policy: PlatformPolicy, expected_report_data: bytes, now_s: int
    ) -> Verdict:
        """Return affirming or warning; raises EvidenceError whose code names the first rule that failed.

        Collateral is the nine fields of Intel's quote verification library, as JSON.
        """
        found = parse_quote(quote)
        if found.kind != self._kind:
            raise EvidenceError("kind", f"a quote of {found.kind}, labelled as {self._kind}")
        rules = read_rules(policy, self._kind)
        check_report_data(report_data(found), expected_report_data)
        anchor, chain, platform = check_genuine(found, policy)
        if read_claims(found).debug:
            raise EvidenceError("debug", "a debug build: whoever runs it can read its memory")
        given = parse_collateral(collateral)
        check_signers(given, chain[2], chain[1])
        check_identity(given, self._kind, platform.fmspc.hex(), platform.pce_id.hex())
        certificates.check_not_revoked(given.pck_crl, chain[0])
        window = _check_times(chain, given, now_s)
        claims = _claims_of(found, given, platform, _ask_library(quote, given, chain[2], now_s))
        _check_remaining(found, given, policy, rules, claims)
        return conclude(claims, check_claims(claims, policy), anchor, policy, window)


def check_genuine(
    quote: DcapQuote, policy: PlatformPolicy
) -> tuple[str, list[x509.Certificate], dcap_qvl.PckExtension]:
    """Check that a platform of the vendor signed a quote, whatever state it was in; raises EvidenceError.

    Returns the root's digest, the certificates of the platform's key, and what they say of it. Needs no
    collateral, and so says nothing of revocation, firmware or time. Codes: ``unsupported``, ``malformed``,
    ``root``, ``chain``, ``qe``, ``signature``.
    """
    if quote.certification_type != PCK_CHAIN:
        raise EvidenceError("unsupported", "the certificates of the platform's key are not in the quote")
    chain = certificates.load_chain(quote.pck_chain.rstrip(b"\0"), 3, "the quote's certificates")
    anchor = check_anchor(certificates.der(chain[-1]), policy, INTEL_ANCHORS)
    platform = _check_chain(chain)
    _check_quote(quote, chain[0])
    return anchor, chain, platform


@attrs.frozen(kw_only=True)
class _Rules:
    product_ids: frozenset[str]
    registers: Mapping[str, frozenset[str] | None]


def read_rules(policy: PlatformPolicy, kind: str) -> _Rules:
    """Read what only these platforms have; raises EvidenceError (``policy``)."""
    fields = Fields(policy.rules, f"the rules of {kind}")
    rules = _Rules(
        product_ids=fields.texts("product_ids") if kind == SGX else frozenset(),
        registers=_read_registers(fields.mapping("registers")) if kind != SGX else {},
    )
    fields.finish()
    if policy.minimum_tcb and not policy.minimum_tcb.isdecimal():
        raise EvidenceError("policy", f"the oldest TCB of {kind} is the number of Intel's evaluation")
    check_known(policy, "tcb_statuses", TCB_STATUSES.__contains__, "what Intel can say, like 'UpToDate'")
    check_known(policy, "denied_products", _FMSPC.fullmatch, "an FMSPC, in lower-case hex")
    for name in ("allowed_advisories", "denied_advisories"):
        check_known(policy, name, _ADVISORY.fullmatch, "an advisory of Intel's, like 'INTEL-SA-00615'")
    return rules


def _read_registers(value: Mapping[str, Any]) -> Mapping[str, frozenset[str] | None]:
    fields = Fields(value, "the registers of tdx")
    found = {name: fields.digests_or_any(name) for name in REGISTERS if name in value}
    fields.finish()
    return found


def _check_chain(chain: list[x509.Certificate]) -> dcap_qvl.PckExtension:
    """Check the certificates of the platform's key and return what they say of it; raises EvidenceError."""
    certificates.check_chain(chain, "the quote's certificates", "chain")
    pem = certificates.pem(chain[0])
    try:
        return dcap_qvl.parse_pck_extension_from_pem(pem)
    except ValueError as error:
        raise EvidenceError("chain", f"the quote's certificate is of no platform: {error}") from error


def _check_times(chain: list[x509.Certificate], collateral: DcapCollateral, now_s: int) -> tuple[int, int]:
    """Check that everything is valid now and return the window; raises EvidenceError."""
    begin, end = window_s(collateral)
    if not begin <= now_s <= end:
        first, last = (datetime.fromtimestamp(at_s, UTC).isoformat() for at_s in (begin, end))
        raise EvidenceError(
            "collateral_time", f"the collateral begins {first} and ends {last}: not of the time that counts"
        )
    begins = [int(one.not_valid_before_utc.timestamp()) for one in chain]
    ends = [int(one.not_valid_after_utc.timestamp()) for one in chain]
    if not max(begins) <= now_s <= min(ends):
        raise EvidenceError("expired", "a certificate of the quote is not valid at this time")
    return max(begin, *begins), min(end, *ends)


def _check_quote(quote: DcapQuote, leaf: x509.Certificate) -> None:
    """Check the signatures from the platform's key down to the report; raises EvidenceError."""
    if quote.vendor != INTEL_QE_VENDOR:
        raise EvidenceError("qe", "the quote is of another quoting enclave than Intel's")
    certificates.check_signature(
        certificates.key_of(leaf, "the platform's key"), quote.qe_signature, quote.qe_report, "the QE report"
    )
    bound = hashlib.sha256(quote.attestation_key + quote.qe_authentication).digest() + bytes(32)
    if quote.qe_report[320:384] != bound:
        raise EvidenceError("signature", "the quoting enclave did not make the attestation key")
    key = certificates.key_from_point(quote.attestation_key)
    certificates.check_signature(key, quote.signature, quote.signed, "the report")


def _ask_library(
    quote: bytes, collateral: DcapCollateral, root: x509.Certificate, now_s: int
) -> dcap_qvl.VerifiedReport:
    """Return what the library concludes; raises EvidenceError."""
    try:
        given = dcap_qvl.QuoteCollateralV3(**collateral.texts, **collateral.blobs)
        return dcap_qvl.verify_with_root_ca(quote, given, certificates.der(root), now_s)
    except Exception as error:
        message = str(error)
        code = next((code for part, code in _CODES.items() if part in message), "library")
        raise EvidenceError(code, " ".join(message.split())[:256]) from error
    except BaseException as error:
        # A panic of native code is no Exception.
        if type(error).__name__ != "PanicException":
            raise
        raise EvidenceError("library", "the library gave up on it") from error


def _claims_of(
    quote: DcapQuote, collateral: DcapCollateral, pck: dcap_qvl.PckExtension, report: dcap_qvl.VerifiedReport
) -> Claims:
    claims = read_claims(quote)
    return attrs.evolve(
        claims,
        product=pck.fmspc.hex(),
        tcb=f"{collateral.evaluation}",
        tcb_status=report.status,
        advisories=tuple(report.advisory_ids),
        more={**claims.more, "pck_cpu_svn": pck.cpu_svn.hex(), "pce_svn": pck.pce_svn},
    )


def _check_remaining(
    quote: DcapQuote, collateral: DcapCollateral, policy: PlatformPolicy, rules: _Rules, claims: Claims
) -> None:
    """Check what neither the library nor the rules of every platform do; raises EvidenceError."""
    if quote.trailing.strip(b"\0"):
        raise EvidenceError("malformed", "something else than padding follows the quote")
    if collateral.evaluation < int(policy.minimum_tcb or "0"):
        raise EvidenceError(
            "eval_number",
            f"the collateral is of evaluation {collateral.evaluation}, {policy.minimum_tcb} is the oldest",
        )
    if quote.kind == SGX:
        if rules.product_ids and str(claims.more["product_id"]) not in rules.product_ids:
            raise EvidenceError("product_id", f"product {claims.more['product_id']} of its signer")
        return
    if claims.more["mr_signer_seam"].strip("0") or claims.more["seam_attributes"].strip("0"):
        raise EvidenceError("td_module", "the TDX module is not Intel's, or under debugging")
    if any(claims.more.get(name, "").strip("0") for name in _SERVICE_TDS):
        raise EvidenceError("td_attributes", "a service TD is bound to the trust domain, or was")
    _check_registers(claims, policy, rules)


def _check_registers(claims: Claims, policy: PlatformPolicy, rules: _Rules) -> None:
    """Check what was measured beside MRTD, which is the firmware alone; raises EvidenceError."""
    for name, accepted in rules.registers.items():
        if accepted is not None and claims.more[name] not in accepted:
            raise EvidenceError("measurement", f"{name} is {claims.more[name]}, which is not accepted")
    silent = {"rtmr0", "rtmr1", "rtmr2"} - set(rules.registers)
    if policy.measurements is not None and silent:
        raise EvidenceError(
            "measurement", f"the policy names firmware but not what it started: {', '.join(sorted(silent))}"
        )
