"""Windows VBS enclaves: the secure kernel signs the report, and the TPM vouches for the secure kernel.

``vbs``: the TPM's quote → the boot log adds up to it → in the log, the state of the boot and the secure
kernel's key → that key signed the report. ``vbs-hgs``: a Host Guardian Service has done all that, and
certified the key for hours.

VBS isolates by the hypervisor, without encrypting memory: who controls firmware or hypervisor is trusted. The
secure kernel's key is new at every boot, and evidence lasts no longer. Sources: ``ntenclv.h``, ``wbcl.h``
(Windows SDK).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from coco_enclave import attestation_key, boot_log, limits, tpm, vbs_report
from coco_enclave.anchors import check_anchor
from coco_enclave.checks import check_claims, check_report_data, conclude
from coco_enclave.errors import EvidenceError
from coco_enclave.event_log import check_log, parse_log, replay
from coco_enclave.evidence import check_given, decode_parts
from coco_enclave.fields import Fields
from coco_enclave.pki import check_chain, check_validity, load_certificates
from coco_enclave.policy import PlatformPolicy, check_meaningless
from coco_enclave.vbs_report import ENCLAVE_TYPE, VbsReport
from coco_enclave.verdict import Claims, Verdict

KIND, HGS_KIND = "vbs", "vbs-hgs"
REPORT, QUOTE, SIGNATURE, LOG = "report", "quote", "signature", "log"
_BANKS: Final = frozenset({tpm.SHA256, tpm.SHA384})
_BOOT_MANAGER: Final = frozenset({4, 7})
"""Registers that tell which boot manager ran, and who had signed it. Unless one of them is pinned, another
signed system may have been started, and have measured what Windows would: accepted with a warning,
``boot_manager``, and not for production."""


@attrs.frozen(kw_only=True)
class VbsRules:
    """The fields of ``rules`` in a policy for ``vbs`` and ``vbs-hgs``."""

    families: frozenset[str] = frozenset()
    """Accepted FamilyId, hex. Empty: not asked."""
    images: frozenset[str] = frozenset()
    modules: frozenset[str] | None = frozenset()
    """UniqueId or AuthorId, hex, of what may be loaded beside the enclave's own image; None accepts any."""
    platform_svn: int = 0
    secure_kernel_svn: int = 0
    """The oldest security versions that are accepted."""
    registers: Mapping[int, frozenset[str]] = attrs.field(factory=dict)
    """Values of which further registers of the TPM must be quoted with one, hex."""
    untyped: bool = False
    """Whether reports without an enclave type are accepted: Windows before 2020 left it 0."""
    sha1: bool = False
    """Whether the TPM's SHA-1 may count: for looking at old evidence, never where anything is at stake."""


def vbs_rules(policy: PlatformPolicy) -> VbsRules:
    """Read the rules of a policy; raises EvidenceError (``policy``)."""
    check_meaningless(policy, "VBS", "minimum_tcb", "denied_products", "tcb_statuses")
    check_meaningless(policy, "VBS", "allowed_advisories", "denied_advisories")
    fields = Fields(policy.rules, "the rules for VBS")
    rules = VbsRules(
        families=fields.digests("families"),
        images=fields.digests("images"),
        modules=fields.digests_or_any("modules"),
        platform_svn=fields.number("platform_svn", 0),
        secure_kernel_svn=fields.number("secure_kernel_svn", 0),
        registers=read_registers(fields, "registers"),
        untyped=fields.flag("untyped", False),
        sha1=fields.flag("sha1", False),
    )
    fields.finish()
    return rules


def weaknesses(rules: VbsRules, kind: str) -> tuple[str, ...]:
    """Return why what these rules accept may be nobody's secure kernel, as a verdict notes it."""
    sha1 = ("sha1",) if rules.sha1 else ()
    unpinned = kind == KIND and not _BOOT_MANAGER & rules.registers.keys()
    return (*sha1, "boot_manager") if unpinned else sha1


def read_registers(fields: Fields, name: str) -> dict[int, frozenset[str]]:
    """Return pinned registers by index, of a JSON object: hex, or a list of it. Raises EvidenceError.

    A list, because machines differ in their firmware, and so in what they measure of the same system.
    """
    value = fields.mapping(name)
    if not value.keys() <= {str(register) for register in range(tpm.REGISTERS)}:
        raise fields.refusal(f"{name!r} is hex by register")
    listed = Fields(
        {index: [one] if isinstance(one, str) else one for index, one in value.items()}, "the registers"
    )
    return {int(index): listed.digests(index) for index in value}


def check_pinned(values: Mapping[int, bytes], pinned: Mapping[int, frozenset[str]]) -> None:
    """Check that registers have values that are pinned; raises EvidenceError (``tpm_digest``)."""
    for index, accepted in pinned.items():
        if values[index].hex() not in accepted:
            raise EvidenceError("tpm_digest", f"TPM quote: register {index} has another value than pinned")


class VbsVerifier:
    """Judges reports by the TPM of the machine."""

    def read(self, quote: bytes) -> Claims:
        """Return what evidence says of itself; raises EvidenceError."""
        parts = _parts(quote)
        claims = vbs_claims(vbs_report.parse_report(parts[REPORT]), KIND)
        return _with_registers(claims, _told_registers(parts))

    def verify(
        self, quote: bytes, collateral: bytes, policy: PlatformPolicy, expected_report_data: bytes, now_s: int
    ) -> Verdict:
        """Return the verdict; raises EvidenceError.

        ``collateral`` is what ``attestation_key.read_key`` reads. Codes in the order of the rules:
        ``report_data``, those of the key, ``signature``, ``tpm_…``, ``log``, ``boot_state``, ``tpm_nonce``,
        ``signature`` of the report, ``identity``, then the policy's.
        """
        parts = _parts(quote)
        report = vbs_report.parse_report(parts[REPORT])
        check_report_data(report.enclave_data, expected_report_data)
        rules = vbs_rules(policy)
        quoted = tpm.parse_quote(parts[QUOTE])
        key = attestation_key.check_key(*attestation_key.read_key(collateral), policy, now_s)
        tpm.check_signature(quoted, tpm.parse_signature(parts[SIGNATURE]), key.key, sha1=rules.sha1)
        kernel, values = _secure_kernel(quoted, parts[LOG], rules)
        tpm.check_nonce(quoted, expected_report_data)
        vbs_report.check_signature(report, kernel)
        verdict = _judge(report, KIND, policy, rules, key.anchor, key.window_s)
        claims = _with_registers(vbs_claims(report, KIND), values)
        return attrs.evolve(verdict, claims=claims)


def _with_registers(claims: Claims, values: Mapping[int, bytes]) -> Claims:
    """Return claims that name the quoted registers: what a policy pins."""
    named = {str(index): value.hex() for index, value in sorted(values.items())}
    return attrs.evolve(claims, more={**claims.more, "registers": named})


def _told_registers(parts: Mapping[str, bytes]) -> dict[int, bytes]:
    """Return what a log says of the registers that a quote names, unchecked; nothing where neither is one."""
    try:
        quoted = tpm.parse_quote(parts[QUOTE])
        banks = {bank for bank, _ in quoted.registers}
        if len(banks) != 1 or not banks <= tpm.DIGEST_SIZES.keys():
            return {}
        (bank,) = banks
        values = replay(parse_log(parts[LOG]), bank)
    except EvidenceError:
        return {}
    return {index: values.get(index, tpm.at_start(index, bank)) for _, index in quoted.registers}


def _secure_kernel(
    quoted: tpm.TpmQuote, log: bytes, rules: VbsRules
) -> tuple[rsa.RSAPublicKey, dict[int, bytes]]:
    """Return the key a quoted boot measured, and the quoted registers, after checking the state of that boot.

    Raises EvidenceError.
    """
    bank = quoted.registers[0][0] if quoted.registers else 0
    if bank not in _BANKS and not (rules.sha1 and bank == tpm.SHA1):
        raise EvidenceError("tpm_selection", f"TPM quote: registers of bank {bank:#06x} are not accepted")
    events = parse_log(log)
    values = check_log(events, quoted, bank, boot_log.REGISTERS | rules.registers.keys())
    check_pinned(values, rules.registers)
    tagged = boot_log.read_values(events, bank)
    boot_log.check_state(tagged)
    boot_log.check_secure_boot(events, bank)
    return boot_log.identity_key(tagged), values


class HgsVerifier:
    """Judges reports by the certificate a Host Guardian Service gave the secure kernel's key."""

    def read(self, quote: bytes) -> Claims:
        """Return what a report says of itself; raises EvidenceError."""
        return vbs_claims(vbs_report.parse_report(quote), HGS_KIND)

    def verify(
        self, quote: bytes, collateral: bytes, policy: PlatformPolicy, expected_report_data: bytes, now_s: int
    ) -> Verdict:
        """Return the verdict; raises EvidenceError.

        ``collateral`` are PEM certificates, the health certificate first. No such service has a public root:
        the policy pins its operator's, or the health certificate itself.
        """
        report = vbs_report.parse_report(quote)
        check_report_data(report.enclave_data, expected_report_data)
        rules = vbs_rules(policy)
        check_given(collateral)
        chain = load_certificates(collateral, "HGS certificates")
        anchor = check_anchor(chain[-1].public_bytes(Encoding.DER), policy, None)
        if len(chain) > 1:
            check_chain(chain, "HGS certificates")
        window_s = check_validity(chain, now_s, "HGS certificates")
        key = chain[0].public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            raise EvidenceError("unsupported", "HGS certificates: the secure kernel's key is not RSA")
        vbs_report.check_signature(report, key)
        return _judge(report, HGS_KIND, policy, rules, anchor, window_s)


def _parts(quote: bytes) -> dict[str, bytes]:
    return decode_parts(quote, {REPORT, QUOTE, SIGNATURE, LOG}, size_max_bytes=limits.EVIDENCE_SIZE_MAX_BYTES)


def _judge(
    report: VbsReport,
    kind: str,
    policy: PlatformPolicy,
    rules: VbsRules,
    anchor: str,
    window_s: tuple[int, int],
) -> Verdict:
    """Return the verdict on a genuine report; raises EvidenceError."""
    claims = vbs_claims(report, kind)
    notes = check_claims(claims, policy)
    _check_identity(report, rules)
    return conclude(claims, (*notes, *weaknesses(rules, kind)), anchor, policy, window_s)


def _check_identity(report: VbsReport, rules: VbsRules) -> None:
    types = {ENCLAVE_TYPE, 0} if rules.untyped else {ENCLAVE_TYPE}
    if report.enclave_type not in types:
        raise EvidenceError("identity", f"VBS report: of an enclave of type {report.enclave_type:#x}")
    for accepted, found in ((rules.families, report.family_id), (rules.images, report.image_id)):
        if accepted and found.hex() not in accepted:
            raise EvidenceError("identity", "VBS report: of another family or image")
    if report.platform_svn < rules.platform_svn or report.secure_kernel_svn < rules.secure_kernel_svn:
        raise EvidenceError("tcb_floor", "VBS report: platform or secure kernel is older than accepted")
    for module in report.modules:
        own = module.unique_id == report.unique_id
        names = {module.unique_id.hex()} | ({module.author_id.hex()} if any(module.author_id) else set())
        if not own and rules.modules is not None and not names & rules.modules:
            raise EvidenceError("identity", f"VBS report: module {module.name[:64]!r} is not accepted")


def vbs_claims(report: VbsReport, kind: str) -> Claims:
    """Return a report's claims; genuine ones only after its signature was checked."""
    more: dict[str, Any] = {
        "family_id": report.family_id.hex(),
        "image_id": report.image_id.hex(),
        "owner_id": report.owner_id.hex(),
        "platform_svn": report.platform_svn,
        "secure_kernel_svn": report.secure_kernel_svn,
        "signing_level": report.signing_level,
        "enclave_type": report.enclave_type,
        "modules": [[module.name[:64], module.unique_id.hex()] for module in report.modules],
    }
    return Claims(
        platform=kind,
        measurement=report.unique_id.hex(),
        report_data=report.enclave_data.hex(),
        signer=report.author_id.hex(),
        svn=report.enclave_svn,
        debug=report.flags != 0,
        more=more,
    )
