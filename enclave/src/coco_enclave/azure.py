"""Azure's confidential machines: VMs under a paravisor with a virtual TPM, and groups of containers.

``azure-snp``: the chip vouches for the paravisor, the paravisor for the virtual TPM's key, the TPM for the
guest. ``azure-aci``: the chip vouches for the utility VM, which Microsoft endorses, and for the digest of the
policy that says which containers run in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import attrs

from coco_enclave import limits, snp, tpm, uvm
from coco_enclave.checks import check_claims, check_report_data, conclude
from coco_enclave.errors import EvidenceError
from coco_enclave.evidence import decode_parts
from coco_enclave.fields import Fields
from coco_enclave.hcl import SNP, HclReport, attestation_key, parse_hcl, vm_configuration
from coco_enclave.policy import PlatformPolicy
from coco_enclave.snp_report import SnpReport, parse_report, tcb_from_bytes
from coco_enclave.snp_rules import SnpRules, check_guest, check_products, check_tcb, read_snp_rules
from coco_enclave.vbs import check_pinned, read_registers
from coco_enclave.verdict import Claims, Verdict

SNP_KIND, ACI_KIND = "azure-snp", "azure-aci"
HCL, QUOTE, SIGNATURE, REGISTERS = "hcl", "quote", "signature", "registers"
REPORT, ENDORSEMENT, CONTAINER_POLICY = "report", "uvm", "policy"
_DOMAIN: Final = b"coco-azure/1"
_CONTAINER_POLICY_MAX_BYTES: Final = 128 * 1024


# ── a confidential VM ────────────────────────────────────────────────────────────────────────────


@attrs.frozen(kw_only=True)
class GuestRules:
    """The fields of ``rules`` in a policy for ``azure-snp`` beside those of ``snp``."""

    paravisors: frozenset[str] = frozenset()
    """Accepted launch measurements, hex: which paravisor. Empty: not asked."""
    registers: Mapping[int, frozenset[str]] = attrs.field(factory=dict)
    """Values of which registers of the virtual TPM must be quoted with one, hex."""


def guest_rules(policy: PlatformPolicy) -> tuple[GuestRules, SnpRules]:
    """Read the rules of a policy; raises EvidenceError (``policy``)."""
    check_products(policy)
    fields = Fields(policy.rules, "the rules for Azure")
    guest = GuestRules(paravisors=fields.digests("paravisors"), registers=read_registers(fields, "registers"))
    return guest, read_snp_rules(fields)


class AzureSnpVerifier:
    """Judges confidential VMs on SEV-SNP."""

    def read(self, quote: bytes) -> Claims:
        """Return what evidence says of itself; raises EvidenceError."""
        parts = _guest_parts(quote)
        hcl = _hcl_of(parts)
        report = parse_report(hcl.hardware)
        quoted = tpm.parse_quote(parts[QUOTE])
        indices = [index for _, index in quoted.registers]
        values = split_registers(parts[REGISTERS])
        return _guest_claims(
            report, hcl, quoted, {index: values[index] for index in indices}, report.product or ""
        )

    def verify(
        self, quote: bytes, collateral: bytes, policy: PlatformPolicy, expected_report_data: bytes, now_s: int
    ) -> Verdict:
        """Return the verdict; raises EvidenceError.

        The TPM's nonce is what is bound to the 64 expected bytes. Codes in the order of the rules:
        ``tpm_nonce``, ``hcl_binding``, ``ak``, ``signature``, ``tpm_selection``, ``tpm_digest``, then those
        of ``snp``.
        """
        parts = _guest_parts(quote)
        hcl = _hcl_of(parts)
        report = parse_report(hcl.hardware)
        quoted = tpm.parse_quote(parts[QUOTE])
        tpm.check_nonce(quoted, expected_report_data)
        guest, rules = guest_rules(policy)
        check_binding(hcl, report.report_data)
        tpm.check_signature(quoted, tpm.bare_signature(parts[SIGNATURE]), attestation_key(hcl))
        values = tpm.check_registers(quoted, split_registers(parts[REGISTERS]), tpm.SHA256, guest.registers)
        found = snp.check_genuine(report, snp.read_collateral(collateral), policy, rules, now_s)
        check_guest(report, rules, found.provider)
        check_tcb(report, found.product, policy.minimum_tcb)
        if guest.paravisors and report.measurement.hex() not in guest.paravisors:
            raise EvidenceError("paravisor", "Azure: the paravisor is not an accepted one")
        check_pinned(values, guest.registers)
        claims = _guest_claims(report, hcl, quoted, values, found.product)
        return conclude(claims, check_claims(claims, policy), found.anchor, policy, found.window_s)


def check_binding(hcl: HclReport, report_data: bytes) -> None:
    """Check that the hardware vouches for the paravisor's keys; raises EvidenceError (``hcl_binding``)."""
    if report_data != hcl.data_digest.ljust(64, b"\0"):
        raise EvidenceError("hcl_binding", "HCL report: the hardware vouches for other keys")


def _guest_parts(quote: bytes) -> dict[str, bytes]:
    required = {HCL, QUOTE, SIGNATURE, REGISTERS}
    return decode_parts(quote, required, size_max_bytes=limits.EVIDENCE_SIZE_MAX_BYTES)


def _hcl_of(parts: Mapping[str, bytes]) -> HclReport:
    hcl = parse_hcl(parts[HCL])
    if hcl.hardware_type != SNP:
        raise EvidenceError("kind", "HCL report: the hardware is not SEV-SNP")
    return hcl


def split_registers(data: bytes) -> dict[int, bytes]:
    """Return SHA-256 registers by index from the values of all 24, one after the other."""
    size = tpm.DIGEST_SIZES[tpm.SHA256]
    if len(data) != tpm.REGISTERS * size:
        raise EvidenceError("malformed", f"TPM registers: {len(data)} bytes are not {tpm.REGISTERS} values")
    return {index: data[index * size : (index + 1) * size] for index in range(tpm.REGISTERS)}


def guest_measurement(launch: bytes, registers: Mapping[int, bytes]) -> str:
    """Return what names a guest in a code manifest: SHA-256 over paravisor and all quoted registers, hex.

    Over which registers is part of it: who leaves one out has another measurement.
    """
    digest = hashlib.sha256(_DOMAIN + launch)
    for index, value in sorted(registers.items()):
        digest.update(bytes((index,)) + value)
    return digest.hexdigest()


def _guest_claims(
    report: SnpReport, hcl: HclReport, quoted: tpm.TpmQuote, registers: Mapping[int, bytes], product: str
) -> Claims:
    tcb = tcb_from_bytes(report.reported_tcb, product)
    claims = snp.snp_claims(report, product, tcb, "", SNP_KIND)
    more: dict[str, Any] = {
        **claims.more,
        "paravisor": report.measurement.hex(),
        "registers": {str(index): value.hex() for index, value in sorted(registers.items())},
        "vm": vm_configuration(hcl),
        "resets": [quoted.reset_count, quoted.restart_count],
    }
    return attrs.evolve(
        claims,
        measurement=guest_measurement(report.measurement, registers),
        report_data=quoted.nonce.hex(),
        more=more,
    )


# ── a container group ────────────────────────────────────────────────────────────────────────────


@attrs.frozen(kw_only=True)
class ContainerRules:
    """The fields of ``rules`` in a policy for ``azure-aci`` beside those of ``snp``."""

    dids: frozenset[str] = frozenset()
    """Accepted issuers of utility VMs (did:x509)."""
    feed: str = "ContainerPlat-AMD-UVM"
    uvm_svn: int = 0
    """The oldest security version of the utility VM, as its endorsement states it."""
    at_signing: bool = False
    """Whether an endorsement's certificates are judged at the time it says it was signed."""


def container_rules(policy: PlatformPolicy) -> tuple[ContainerRules, SnpRules]:
    """Read the rules of a policy; raises EvidenceError (``policy``)."""
    check_products(policy)
    fields = Fields(policy.rules, "the rules for Azure containers")
    containers = ContainerRules(
        dids=fields.texts("dids"),
        feed=fields.text("feed", "ContainerPlat-AMD-UVM"),
        uvm_svn=fields.number("uvm_svn", 0),
        at_signing=fields.flag("at_signing", False),
    )
    return containers, read_snp_rules(fields)


class AzureAciVerifier:
    """Judges container groups by report, endorsed utility VM and container policy."""

    def read(self, quote: bytes) -> Claims:
        """Return what evidence says of itself; raises EvidenceError."""
        parts = _container_parts(quote)
        report, endorsed = parse_report(parts[REPORT]), uvm.parse_endorsement(parts[ENDORSEMENT])
        return _container_claims(report, endorsed, report.product or "")

    def verify(
        self, quote: bytes, collateral: bytes, policy: PlatformPolicy, expected_report_data: bytes, now_s: int
    ) -> Verdict:
        """Return the verdict; raises EvidenceError.

        Codes in the order of the rules: ``report_data``, ``host_data``, those of ``snp``, ``endorsement``.
        """
        parts = _container_parts(quote)
        report = parse_report(parts[REPORT])
        check_report_data(report.report_data, expected_report_data)
        containers, rules = container_rules(policy)
        _check_container_policy(report, parts.get(CONTAINER_POLICY))
        found = snp.check_genuine(report, snp.read_collateral(collateral), policy, rules, now_s)
        check_guest(report, rules, found.provider)
        check_tcb(report, found.product, policy.minimum_tcb)
        endorsed = uvm.parse_endorsement(parts[ENDORSEMENT])
        begin_s, end_s = uvm.check_endorsement(
            endorsed,
            dids=containers.dids,
            feed=containers.feed,
            minimum_svn=containers.uvm_svn,
            now_s=now_s,
            at_signing=containers.at_signing,
        )
        if endorsed.measurement != report.measurement.hex():
            raise EvidenceError("endorsement", "UVM endorsement: of another utility VM than was launched")
        claims = _container_claims(report, endorsed, found.product)
        window_s = max(begin_s, found.window_s[0]), min(end_s, found.window_s[1])
        return conclude(claims, check_claims(claims, policy), found.anchor, policy, window_s)


def _container_parts(quote: bytes) -> dict[str, bytes]:
    return decode_parts(
        quote, {REPORT, ENDORSEMENT}, {CONTAINER_POLICY}, size_max_bytes=limits.EVIDENCE_SIZE_MAX_BYTES
    )


def _check_container_policy(report: SnpReport, container_policy: bytes | None) -> None:
    """Check that a container policy that came along is the one the host was made to enforce."""
    if container_policy is None:
        return
    if len(container_policy) > _CONTAINER_POLICY_MAX_BYTES:
        raise EvidenceError("size", f"container policy: it has {len(container_policy)} bytes")
    if hashlib.sha256(container_policy).digest() != report.host_data:
        raise EvidenceError("host_data", "Azure containers: the host data is not the digest of this policy")


def _container_claims(report: SnpReport, endorsed: uvm.UvmEndorsement, product: str) -> Claims:
    """Return claims whose measurement is the digest of the container policy: it names what runs."""
    claims = snp.snp_claims(report, product, tcb_from_bytes(report.reported_tcb, product), "", ACI_KIND)
    more: dict[str, Any] = {
        **claims.more,
        "uvm_measurement": report.measurement.hex(),
        "uvm_issuer": endorsed.did,
        "uvm_feed": endorsed.feed,
        "uvm_svn": endorsed.guest_svn,
    }
    return attrs.evolve(claims, measurement=report.host_data.hex(), more=more)
