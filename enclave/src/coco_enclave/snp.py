"""AMD SEV-SNP: a report is judged by the certificate of the chip that signed it, and by the policy.

Sources: AMD 56860 (firmware ABI: the report), AMD 57230 (VCEK and VLEK certificates, their extensions).
Collateral is the chip's certificate with its issuers, as AMD's key distribution service publishes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from coco_enclave import limits
from coco_enclave.anchors import AMD_ANCHORS, check_anchor
from coco_enclave.checks import check_claims, check_report_data, conclude
from coco_enclave.errors import EvidenceError
from coco_enclave.evidence import check_given, decode_parts
from coco_enclave.pki import (
    check_chain,
    check_not_revoked,
    check_validity,
    extension,
    load_certificate,
    load_certificates,
)
from coco_enclave.policy import PlatformPolicy
from coco_enclave.snp_report import (
    MITIGATIONS_SINCE_VERSION,
    PRODUCTS,
    SIGNED_BY_VCEK,
    SIGNED_BY_VLEK,
    TURIN,
    SnpReport,
    Tcb,
    parse_report,
    tcb_from_bytes,
)
from coco_enclave.snp_rules import SnpRules, check_guest, check_tcb, snp_rules
from coco_enclave.verdict import Claims, Verdict

KIND: Final = "snp"
LEAF, CHAIN, CRL = "leaf", "chain", "crl"

_ECDSA_P384_SHA384: Final = 1
_EXTENSIONS: Final = "1.3.6.1.4.1.3704.1"
_PRODUCT_NAME: Final = f"{_EXTENSIONS}.2"
_HARDWARE_ID: Final = f"{_EXTENSIONS}.4"
_PROVIDER_ID: Final = f"{_EXTENSIONS}.5"
_TCB: Final[Mapping[str, str]] = {
    "bootloader": f"{_EXTENSIONS}.3.1",
    "tee": f"{_EXTENSIONS}.3.2",
    "snp": f"{_EXTENSIONS}.3.3",
    "microcode": f"{_EXTENSIONS}.3.8",
}
_TCB_FMC: Final = f"{_EXTENSIONS}.3.9"
_DER_INTEGER, _DER_IA5_STRING = 0x02, 0x16


@attrs.frozen(kw_only=True)
class SnpCollateral:
    """The certificate a report is to be judged by, and its issuers up to the root."""

    chain: Sequence[x509.Certificate]
    """VCEK or VLEK, ASK or ASVK, ARK."""
    crl: bytes | None = attrs.field(default=None, repr=False)
    """The ARK's revocation list, DER."""

    @property
    def root_der(self) -> bytes:
        """The last certificate of the chain."""
        return self.chain[-1].public_bytes(Encoding.DER)


@attrs.frozen(kw_only=True)
class SnpFindings:
    """What a genuine report was found to say."""

    report: SnpReport
    product: str
    reported_tcb: Tcb
    provider: str
    """Whose VLEK signed it, empty for a chip's own key."""
    anchor: str
    window_s: tuple[int, int]


class SnpVerifier:
    """Judges reports of guests that ask the firmware themselves."""

    def read(self, quote: bytes) -> Claims:
        """Return what a report says of itself; raises EvidenceError."""
        report = parse_report(quote)
        product = report.product or ""
        return snp_claims(report, product, tcb_from_bytes(report.reported_tcb, product), "", KIND)

    def verify(
        self, quote: bytes, collateral: bytes, policy: PlatformPolicy, expected_report_data: bytes, now_s: int
    ) -> Verdict:
        """Return the verdict on a report; raises EvidenceError."""
        report = parse_report(quote)
        check_report_data(report.report_data, expected_report_data)
        rules = snp_rules(policy)
        found = check_genuine(report, read_collateral(collateral), policy, rules, now_s)
        check_guest(report, rules, found.provider)
        check_tcb(report, found.product, policy.minimum_tcb)
        claims = snp_claims(report, found.product, found.reported_tcb, found.provider, KIND)
        return conclude(claims, check_claims(claims, policy), found.anchor, policy, found.window_s)


def read_collateral(data: bytes) -> SnpCollateral:
    """Read collateral: named parts, or certificates in PEM, the chip's own first; raises EvidenceError."""
    check_given(data)
    if data.lstrip().startswith(b"-----BEGIN"):
        return SnpCollateral(chain=load_certificates(data, "SNP collateral"))
    parts = decode_parts(
        data,
        {LEAF, CHAIN},
        {CRL},
        size_max_bytes=limits.COLLATERAL_SIZE_MAX_BYTES,
        what="SNP collateral that is no PEM",
    )
    leaf = load_certificate(parts[LEAF], "VCEK")
    return SnpCollateral(chain=[leaf, *load_certificates(parts[CHAIN], "ASK and ARK")], crl=parts.get(CRL))


# ── is it genuine ────────────────────────────────────────────────────────────────────────────────


def check_genuine(
    report: SnpReport, collateral: SnpCollateral, policy: PlatformPolicy, rules: SnpRules, now_s: int
) -> SnpFindings:
    """Check that a chip of AMD signed a report in the state it names; raises EvidenceError.

    Codes in the order of the rules: ``algorithm``, ``chip_key``, ``signing_key``, ``root``, ``product``,
    ``chain``, ``expired``, ``crl``, ``revoked``, ``signature``, ``tcb_mismatch``, ``chip_id``.
    """
    if report.signature_algorithm != _ECDSA_P384_SHA384:
        raise EvidenceError("algorithm", f"SNP report: signature algorithm {report.signature_algorithm}")
    if report.chip_key_masked:
        raise EvidenceError(
            "chip_key", "SNP report: the host hides the chip's key, so that nothing is signed"
        )
    if report.signing_key not in (SIGNED_BY_VCEK, SIGNED_BY_VLEK):
        raise EvidenceError(
            "signing_key", f"SNP report: signed by no known kind of key ({report.signing_key})"
        )
    if len(collateral.chain) != 3:
        raise EvidenceError(
            "chain", "SNP collateral: three certificates are needed, VCEK or VLEK, ASK and ARK"
        )
    anchor = check_anchor(collateral.root_der, policy, AMD_ANCHORS)
    leaf, issuer, root = collateral.chain
    product = _check_product(report, leaf, root)
    _check_roles(report, leaf, issuer, product)
    check_chain(collateral.chain, "SNP certificates")
    window_s = check_validity(collateral.chain, now_s, "SNP certificates")
    if collateral.crl is not None:
        crl_window_s = check_not_revoked(collateral.chain, collateral.crl, root, now_s, "SNP certificates")
        window_s = max(window_s[0], crl_window_s[0]), min(window_s[1], crl_window_s[1])
    elif rules.crl_required:
        raise EvidenceError("crl", "SNP collateral: the policy asks for the ARK's revocation list")
    _check_signature(report, leaf)
    tcb = tcb_from_bytes(report.reported_tcb, product)
    if tcb != _certified_tcb(leaf, product):
        raise EvidenceError("tcb_mismatch", "SNP report: it names another firmware than its key is for")
    provider = ""
    if report.signing_key == SIGNED_BY_VLEK:
        provider = _text_of(leaf, _PROVIDER_ID)
    else:
        _check_chip(report, leaf, product)
    return SnpFindings(
        report=report, product=product, reported_tcb=tcb, provider=provider, anchor=anchor, window_s=window_s
    )


def _check_product(report: SnpReport, leaf: x509.Certificate, root: x509.Certificate) -> str:
    """Return the product line of root, certificate and report, which must be one."""
    names = root.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    product = str(names[0].value).removeprefix("ARK-") if names else ""
    if product not in PRODUCTS:
        raise EvidenceError("root", "SNP certificates: the root is of no known product line")
    certified = _text_of(leaf, _PRODUCT_NAME).partition("-")[0]  # A VCEK adds the stepping: Milan-B0.
    if certified != product:
        raise EvidenceError(
            "root", f"SNP certificates: a key for {certified[:32]!r} under the root of {product}"
        )
    if report.version > 2 and report.product != product:
        raise EvidenceError("product", f"SNP report: of another product line than its key's, {product}")
    return product


def _check_roles(report: SnpReport, leaf: x509.Certificate, issuer: x509.Certificate, product: str) -> None:
    """Check that names say what the key is for: a chip's own key, or one loaded by a cloud provider."""
    kind, authority = ("SEV-VCEK", f"SEV-{product}")
    if report.signing_key == SIGNED_BY_VLEK:
        kind, authority = ("SEV-VLEK", f"SEV-VLEK-{product}")
    for certificate, name in ((leaf, kind), (issuer, authority)):
        names = [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        if names != [name]:
            raise EvidenceError("chain", f"SNP certificates: {names[:1]} stands where {name} should be")


def _check_signature(report: SnpReport, leaf: x509.Certificate) -> None:
    key = leaf.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise EvidenceError("unsupported", "SNP certificates: the chip's key is not on P-384")
    signature = encode_dss_signature(report.signature_r, report.signature_s)
    try:
        key.verify(signature, report.signed, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature as error:
        raise EvidenceError("signature", "SNP report: not signed by the key of this certificate") from error


def _check_chip(report: SnpReport, leaf: x509.Certificate, product: str) -> None:
    certified = extension(leaf, _HARDWARE_ID) or b""
    size = 8 if product == TURIN else 64
    if len(certified) != size or report.chip_id != certified.ljust(64, b"\0") or not any(certified):
        raise EvidenceError("chip_id", "SNP report: of another chip than its key, or the host hides which")


def _certified_tcb(leaf: x509.Certificate, product: str) -> Tcb:
    oids = {**_TCB, "fmc": _TCB_FMC} if product == TURIN else _TCB
    return Tcb(**{name: _number_of(leaf, oid) for name, oid in oids.items()})


def _number_of(leaf: x509.Certificate, oid: str) -> int:
    value = extension(leaf, oid)
    if value is None or len(value) < 3 or value[0] != _DER_INTEGER or value[1] != len(value) - 2:
        raise EvidenceError("malformed", f"SNP certificates: extension {oid} is no number")
    return int.from_bytes(value[2:], "big", signed=True)


def _text_of(leaf: x509.Certificate, oid: str) -> str:
    value = extension(leaf, oid)
    if value is None or len(value) < 2 or value[0] != _DER_IA5_STRING or value[1] != len(value) - 2:
        raise EvidenceError("malformed", f"SNP certificates: extension {oid} is no text")
    return value[2:].decode("ascii", "replace")


# ── what it proves ───────────────────────────────────────────────────────────────────────────────


def snp_claims(report: SnpReport, product: str, tcb: Tcb, provider: str, kind: str) -> Claims:
    """Return a report's claims; genuine ones only after check_genuine."""
    more: dict[str, Any] = {
        "vmpl": report.vmpl,
        "policy": f"{report.policy:#x}",
        "abi": list(report.abi),
        "platform_info": f"{report.platform_info:#x}",
        "host_data": report.host_data.hex(),
        "family_id": report.family_id.hex(),
        "image_id": report.image_id.hex(),
        "author_key": report.author_key_digest.hex() if report.author_key_enabled else "",
        "report_version": report.version,
        "key": "VLEK" if report.signing_key == SIGNED_BY_VLEK else "VCEK",
        "provider": provider,
        "committed_tcb": str(tcb_from_bytes(report.committed_tcb, product)),
        "launch_tcb": str(tcb_from_bytes(report.launch_tcb, product)),
    }
    if report.version >= MITIGATIONS_SINCE_VERSION:
        more["mitigations"] = [f"{vector:#x}" for vector in report.mitigations]
    return Claims(
        platform=kind,
        measurement=report.measurement.hex(),
        report_data=report.report_data.hex(),
        signer=report.id_key_digest.hex() if any(report.id_key_digest) else "",
        product=product,
        svn=report.guest_svn,
        tcb=str(tcb),
        debug=report.debug,
        more=more,
    )
