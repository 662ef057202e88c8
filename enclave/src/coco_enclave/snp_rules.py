"""What a policy may ask of a SEV-SNP guest and its host beyond what every platform has.

Pure data and comparisons; that a report is genuine has been checked before.
"""

from __future__ import annotations

from typing import Final

import attrs

from coco_enclave.errors import EvidenceError
from coco_enclave.fields import Fields
from coco_enclave.policy import PlatformPolicy, check_known, check_meaningless
from coco_enclave.snp_report import (
    PLATFORM_ALIAS_CHECK,
    PLATFORM_CIPHERTEXT_HIDING,
    PLATFORM_ECC,
    PLATFORM_RAPL_DISABLED,
    PLATFORM_SMT,
    PLATFORM_TSME,
    POLICY_MIGRATE_MA,
    POLICY_RESERVED_ONE,
    POLICY_SINGLE_SOCKET,
    POLICY_SMT,
    PRODUCTS,
    SIGNED_BY_VLEK,
    SnpReport,
    Tcb,
    tcb_from_bytes,
    tcb_from_text,
)

PLATFORM_BITS: Final = {
    "smt": PLATFORM_SMT,
    "tsme": PLATFORM_TSME,
    "ecc": PLATFORM_ECC,
    "rapl_disabled": PLATFORM_RAPL_DISABLED,
    "ciphertext_hiding": PLATFORM_CIPHERTEXT_HIDING,
    "alias_check": PLATFORM_ALIAS_CHECK,
}
_VMPL_MAX: Final = 3
ANY_PROVIDER: Final = "any"


@attrs.frozen(kw_only=True)
class SnpRules:
    """The fields of ``rules`` in a policy for ``snp``."""

    vmpl_max: int = 0
    """The least privileged level that may ask for the report: 0, unless a paravisor is trusted."""
    host_data: frozenset[str] = frozenset()
    """Accepted HOST_DATA, hex: on Azure's containers the digest of their policy. Empty: not asked."""
    author_keys: frozenset[str] = frozenset()
    """Accepted digests of author keys, hex. Empty: not asked."""
    family_ids: frozenset[str] = frozenset()
    image_ids: frozenset[str] = frozenset()
    vlek_providers: frozenset[str] = frozenset()
    """Cloud providers whose loaded keys are accepted, as certificates name them; ``any`` accepts all."""
    smt: bool = True
    """Whether the guest may run on hosts with simultaneous multithreading."""
    single_socket: bool = False
    """Whether the guest must be kept to one socket."""
    abi_minimum: int = 0
    """The oldest firmware ABI the guest may ask for, major version times 256 plus minor."""
    platform_required: frozenset[str] = frozenset()
    """What must be on in the host, for example ``alias_check`` (against aliased memory: BadRAM)."""
    platform_denied: frozenset[str] = frozenset()
    """What must be off in the host."""
    mitigations: int = 0
    """Bits that must be set in the mitigation vectors of report version 5."""
    crl_required: bool = False
    """Whether collateral must hold the ARK's revocation list."""


def check_products(policy: PlatformPolicy) -> None:
    """Check that denied products are AMD's, and that nothing is asked of it that only Intel says.

    Raises EvidenceError (``policy``).
    """
    check_known(policy, "denied_products", PRODUCTS.__contains__, f"one of {', '.join(PRODUCTS)}")
    check_meaningless(policy, "SEV-SNP", "tcb_statuses", "allowed_advisories", "denied_advisories")


def snp_rules(policy: PlatformPolicy) -> SnpRules:
    """Read the rules of a policy; raises EvidenceError (``policy``)."""
    check_products(policy)
    return read_snp_rules(Fields(policy.rules, "the rules for SNP"))


def read_snp_rules(fields: Fields) -> SnpRules:
    """Read rules out of a JSON object and refuse what is left in it; raises EvidenceError (``policy``)."""
    rules = SnpRules(
        vmpl_max=fields.number("vmpl_max", 0),
        host_data=fields.digests("host_data"),
        author_keys=fields.digests("author_keys"),
        family_ids=fields.digests("family_ids"),
        image_ids=fields.digests("image_ids"),
        vlek_providers=fields.texts("vlek_providers"),
        smt=fields.flag("smt", True),
        single_socket=fields.flag("single_socket", False),
        abi_minimum=fields.number("abi_minimum", 0),
        platform_required=fields.texts("platform_required"),
        platform_denied=fields.texts("platform_denied"),
        mitigations=fields.number("mitigations", 0),
        crl_required=fields.flag("crl_required", False),
    )
    fields.finish()
    if rules.vmpl_max > _VMPL_MAX:
        raise fields.refusal(f"'vmpl_max' must be at most {_VMPL_MAX}")
    unknown = (rules.platform_required | rules.platform_denied) - PLATFORM_BITS.keys()
    if unknown:
        raise fields.refusal(f"no property of a host: {min(unknown)[:32]!r}")
    return rules


def check_guest(report: SnpReport, rules: SnpRules, provider: str) -> None:
    """Check what a guest's owner asked for, how its host is set up, whose key signed; raises EvidenceError.

    ``provider`` is for whom that key was loaded, where it is not the chip's own.
    Codes in the order of the rules: ``migration``, ``guest_policy``, ``vmpl``, ``host_data``, ``author_key``,
    ``image``, ``platform_info``, ``mitigation``, ``provider``.
    """
    policy = report.policy
    if policy & POLICY_MIGRATE_MA:
        raise EvidenceError("migration", "SNP guest: a migration agent may move it, and read it on the way")
    if not policy & POLICY_RESERVED_ONE:
        raise EvidenceError("guest_policy", "SNP guest: its policy lacks the bit that is always set")
    if policy & POLICY_SMT and not rules.smt:
        raise EvidenceError("guest_policy", "SNP guest: it may run beside others on one core")
    if rules.single_socket and not policy & POLICY_SINGLE_SOCKET:
        raise EvidenceError("guest_policy", "SNP guest: it may run on several sockets")
    if policy & 0xFFFF < rules.abi_minimum:
        raise EvidenceError("guest_policy", "SNP guest: it accepts an older firmware ABI than allowed")
    if report.vmpl > rules.vmpl_max:
        raise EvidenceError("vmpl", f"SNP report: asked for at privilege level {report.vmpl}")
    _check_identity(report, rules)
    _check_host(report, rules)
    loaded = report.signing_key == SIGNED_BY_VLEK
    if loaded and provider not in rules.vlek_providers and ANY_PROVIDER not in rules.vlek_providers:
        raise EvidenceError("provider", f"SNP report: signed by a key loaded for {provider[:64]!r}")


def _check_identity(report: SnpReport, rules: SnpRules) -> None:
    if rules.host_data and report.host_data.hex() not in rules.host_data:
        raise EvidenceError("host_data", "SNP guest: the host data is not that of an accepted policy")
    author = report.author_key_digest.hex() if report.author_key_enabled else ""
    if rules.author_keys and author not in rules.author_keys:
        raise EvidenceError("author_key", "SNP guest: its identity is not of an accepted author")
    for accepted, found in ((rules.family_ids, report.family_id), (rules.image_ids, report.image_id)):
        if accepted and found.hex() not in accepted:
            raise EvidenceError("image", "SNP guest: of another family or image")


def _check_host(report: SnpReport, rules: SnpRules) -> None:
    for name in sorted(rules.platform_required):
        if not report.platform_info & PLATFORM_BITS[name]:
            raise EvidenceError("platform_info", f"SNP host: {name} is not on")
    for name in sorted(rules.platform_denied):
        if report.platform_info & PLATFORM_BITS[name]:
            raise EvidenceError("platform_info", f"SNP host: {name} is on")
    if any(vector & rules.mitigations != rules.mitigations for vector in report.mitigations):
        raise EvidenceError("mitigation", "SNP host: a mitigation that is asked for is missing")


def read_floors(minimum_tcb: str) -> dict[str, Tcb]:
    """Return the oldest firmware by product; raises EvidenceError (``policy``).

    ``minimum_tcb`` is ``PRODUCT bl=…,tee=…,snp=…,ucode=…`` for each product, parted by semicolons.
    """
    floors: dict[str, Tcb] = {}
    for part in filter(None, map(str.strip, minimum_tcb.split(";"))):
        name, _, text = part.partition(" ")
        if name in floors:
            raise EvidenceError("policy", f"the rules for SNP: two TCB floors for {name}")
        try:
            floors[PRODUCTS[PRODUCTS.index(name)]] = tcb_from_text(text)
        except ValueError as error:
            raise EvidenceError("policy", f"the rules for SNP: no TCB floor: {part[:80]!r}") from error
    return floors


def check_tcb(report: SnpReport, product: str, minimum_tcb: str) -> None:
    """Check reported, committed and launch firmware against floors; raises EvidenceError.

    When there are any, a product without one is refused (``tcb_floor``). Otherwise as ``read_floors``.
    """
    floors = read_floors(minimum_tcb)
    if not floors:
        return
    if product not in floors:
        raise EvidenceError("tcb_floor", f"SNP host: no floor is set for {product}")
    for what, found in (
        ("reported", report.reported_tcb),
        ("committed", report.committed_tcb),
        ("launch", report.launch_tcb),
    ):
        tcb = tcb_from_bytes(found, product)
        if not tcb.at_least(floors[product]):
            raise EvidenceError(
                "tcb_floor", f"SNP host: its {what} firmware {tcb} is older than {floors[product]}"
            )
