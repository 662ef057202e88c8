"""What Intel publishes for judging quotes: TCB info, the quoting enclave's identity, revocation lists.

Pure. The form is the nine fields of Intel's quote verification library, as JSON. Collateral may come from
whoever is judged, so all of it is checked here: who signed it, in which role, for which platform, and when.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import attrs
import orjson
from cryptography import x509

from coco_enclave import certificates
from coco_enclave.anchors import anchor_of
from coco_enclave.dcap_quote import SGX
from coco_enclave.errors import EvidenceError
from coco_enclave.evidence import check_given

TCB_SIGNER: Final = "Intel SGX TCB Signing"
"""The one role that may sign TCB info: a platform's own key has the same root."""
_TEXTS: Final = (
    "pck_crl_issuer_chain",
    "tcb_info_issuer_chain",
    "tcb_info",
    "qe_identity_issuer_chain",
    "qe_identity",
)
_BYTES: Final = ("root_ca_crl", "pck_crl", "tcb_info_signature", "qe_identity_signature")
_IGNORED: Final = frozenset(
    {"pck_certificate_chain", "version", "major_version", "minor_version", "tee_type"}
)
"""Some publishers add them. The quote has certificates of its own, and those are judged; the rest is of the
library's structure in memory."""
_TCB_INFO_VERSION: Final = 3
_IDENTITY_VERSION: Final = 2
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
_IDS: Final[Mapping[str, tuple[str, str]]] = {SGX: ("SGX", "QE"), "tdx": ("TDX", "TD_QE")}


@attrs.frozen(kw_only=True)
class DcapCollateral:
    """The collateral of one platform, read."""

    texts: Mapping[str, str]
    blobs: Mapping[str, bytes]
    tcb_info: Mapping[str, Any]
    qe_identity: Mapping[str, Any]
    pck_crl_chain: list[x509.Certificate]
    tcb_chain: list[x509.Certificate]
    qe_chain: list[x509.Certificate]
    root_crl: x509.CertificateRevocationList
    pck_crl: x509.CertificateRevocationList

    @property
    def evaluation(self) -> int:
        """The number of Intel's evaluation the TCB info is of: later ones know of more faults."""
        return int(self.tcb_info["tcbEvaluationDataNumber"])


def parse_collateral(data: bytes) -> DcapCollateral:
    """Return collateral read from JSON; raises EvidenceError (``collateral``, ``crl``, ``tcb_signer``)."""
    check_given(data)
    fields = _json(data, "collateral")
    if not {*_TEXTS, *_BYTES} <= set(fields) <= {*_TEXTS, *_BYTES, *_IGNORED}:
        raise EvidenceError("collateral", "collateral has not the nine fields it must have")
    texts = {name: _text(fields, name) for name in _TEXTS}
    try:
        blobs = {name: bytes.fromhex(_text(fields, name)) for name in _BYTES}
        encoded = {name: text.encode() for name, text in texts.items()}
    except ValueError as error:
        raise EvidenceError("collateral", f"collateral: {error}") from error
    return DcapCollateral(
        texts=texts,
        blobs=blobs,
        tcb_info=_json(encoded["tcb_info"], "TCB info"),
        qe_identity=_json(encoded["qe_identity"], "the identity of the quoting enclave"),
        pck_crl_chain=certificates.load_chain(
            encoded["pck_crl_issuer_chain"], 2, "who signed the PCK revocation list", "crl"
        ),
        tcb_chain=certificates.load_chain(
            encoded["tcb_info_issuer_chain"], 2, "who signed the TCB info", "tcb_signer"
        ),
        qe_chain=certificates.load_chain(
            encoded["qe_identity_issuer_chain"], 2, "who signed the quoting enclave's identity", "tcb_signer"
        ),
        root_crl=certificates.load_crl(blobs["root_ca_crl"], "the root's revocation list"),
        pck_crl=certificates.load_crl(blobs["pck_crl"], "the PCK revocation list"),
    )


def check_signers(collateral: DcapCollateral, root: x509.Certificate, ca: x509.Certificate) -> None:
    """Check who signed what, under the root and by the CA of the quote.

    Raises EvidenceError (``root``, ``tcb_signer``, ``collateral_signature``, ``crl``, ``revoked``).
    """
    for chain in (collateral.tcb_chain, collateral.qe_chain, collateral.pck_crl_chain):
        if anchor_of(certificates.der(chain[-1])) != anchor_of(certificates.der(root)):
            raise EvidenceError("root", "the collateral is of another root than the quote")
    for name, chain in (("tcb_info", collateral.tcb_chain), ("qe_identity", collateral.qe_chain)):
        if certificates.common_name(chain[0]) != TCB_SIGNER:
            raise EvidenceError(
                "tcb_signer", f"{name} is signed by {certificates.common_name(chain[0])[:64]!r}"
            )
        certificates.check_chain(chain, name, "tcb_signer")
        certificates.check_signature(
            certificates.key_of(chain[0], name),
            collateral.blobs[f"{name}_signature"],
            collateral.texts[name].encode(),
            name,
            "collateral_signature",
        )
    # The list is judged by the quote's own CA: who else its publishers say signed it does not matter.
    certificates.check_crl(collateral.root_crl, root, "the root's revocation list")
    certificates.check_crl(collateral.pck_crl, ca, "the PCK revocation list")
    for certificate in (ca, collateral.tcb_chain[0], collateral.qe_chain[0]):
        certificates.check_not_revoked(collateral.root_crl, certificate)


def check_identity(collateral: DcapCollateral, kind: str, fmspc: str, pce_id: str) -> None:
    """Check that collateral is for this TEE and platform; raises EvidenceError.

    Codes: ``tee``, ``version``, ``fmspc``, ``pceid``, ``eval_number``.
    """
    tcb, identity = collateral.tcb_info, collateral.qe_identity
    if (tcb.get("id"), identity.get("id")) != _IDS[kind]:
        raise EvidenceError("tee", f"the collateral is of {tcb.get('id')!r}, the quote of {kind}")
    if (tcb.get("version"), identity.get("version")) != (_TCB_INFO_VERSION, _IDENTITY_VERSION):
        raise EvidenceError("version", "TCB info must be of version 3, the quoting enclave's identity of 2")
    if str(tcb.get("fmspc")).lower() != fmspc:
        raise EvidenceError("fmspc", f"the collateral is of platforms {tcb.get('fmspc')!r}, this is {fmspc}")
    if str(tcb.get("pceId")).lower() != pce_id:
        raise EvidenceError("pceid", f"the collateral is for PCE {tcb.get('pceId')!r}, this is {pce_id}")
    numbers = [value.get("tcbEvaluationDataNumber") for value in (tcb, identity)]
    if not all(type(number) is int for number in numbers):
        raise EvidenceError("collateral", "the collateral does not say of which evaluation it is")
    if numbers[0] != numbers[1]:
        raise EvidenceError(
            "eval_number", "TCB info and the quoting enclave's identity are of two evaluations"
        )


def window_s(collateral: DcapCollateral) -> tuple[int, int]:
    """Return from when until when all of it is valid, in seconds since 1970; raises EvidenceError."""
    begins, ends = zip(*_windows(collateral), strict=True)
    return max(map(_seconds, begins)), min(map(_seconds, ends))


def _windows(collateral: DcapCollateral) -> Iterator[tuple[datetime, datetime]]:
    for chain in (collateral.tcb_chain, collateral.qe_chain, collateral.pck_crl_chain):
        for one in chain:
            yield one.not_valid_before_utc, one.not_valid_after_utc
    for crl in (collateral.root_crl, collateral.pck_crl):
        if crl.next_update_utc is None:
            raise EvidenceError("crl", "a revocation list that says no end")
        yield crl.last_update_utc, crl.next_update_utc
    for value in (collateral.tcb_info, collateral.qe_identity):
        yield _time(value.get("issueDate")), _time(value.get("nextUpdate"))


def _time(value: object) -> datetime:
    # One form alone: what else Python reads as ISO 8601 depends on its version, and a verdict must not.
    try:
        return datetime.strptime(value if isinstance(value, str) else "", _TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise EvidenceError("collateral", f"{str(value)[:64]!r} is no time") from error


def _seconds(value: datetime) -> int:
    return int(value.timestamp())


def _json(data: bytes, what: str) -> Mapping[str, Any]:
    try:
        value = orjson.loads(data)
    except ValueError as error:
        raise EvidenceError("collateral", f"{what} is not JSON") from error
    if not isinstance(value, dict):
        raise EvidenceError("collateral", f"{what} is not a JSON object")
    return value


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields[name]
    if not isinstance(value, str):
        raise EvidenceError("collateral", f"{name} must be text")
    return value
