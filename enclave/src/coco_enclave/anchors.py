"""The roots that vendors publish, as SHA-256 of their certificates, and how a root is accepted.

Whose root it is decides what a signature is worth. A policy names the roots it trusts, by digest: nothing is
trusted because of the names in a certificate. A root that is no vendor's is a simulator's, or an operator's
own where the platform has no public root (Windows Host Guardian Service).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from coco_enclave.errors import EvidenceError
from coco_enclave.policy import PlatformPolicy

VENDOR_ANCHORS: Final[Mapping[str, str]] = {
    "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3": "Intel SGX Root CA",
    "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd": "AMD ARK-Milan",
    "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1": "AMD ARK-Genoa",
    "1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a": "AMD ARK-Turin",
    "e6c596b17f8ffefba5c300f714cfb1260c6028704ecf7becc4ab5018efb00e95": "Azure Virtual TPM Root 2023",
}
"""By SHA-256 of the DER certificate."""

INTEL_ANCHORS: Final = frozenset(
    digest for digest, name in VENDOR_ANCHORS.items() if name.startswith("Intel")
)
MICROSOFT_UVM_ISSUERS: Final = frozenset(
    f"did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s::eku:1.3.6.1.4.1.311.76.59.1.{use}"
    for use in (1, 2)
)
"""Who endorses the utility VMs of Azure's containers: a root of Microsoft's, and two uses of its leaves."""
AMD_ANCHORS: Final = frozenset(digest for digest, name in VENDOR_ANCHORS.items() if name.startswith("AMD"))
EARLIER: Final[Mapping[str, str]] = {
    "fc64f8076d79a4fee9d1d473d74c89eb8d8fd55c5abafeabeba7366d20429404": (
        "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"
    )
}
"""Certificate a vendor's root had before, with the same name and key -> the one it has. Intel's was to end in
2033, and stands in quotes of platforms that were registered until 2021."""


def anchor_of(root_der: bytes) -> str:
    """Return the digest a root is pinned by: the same for a certificate it had before."""
    digest = hashlib.sha256(root_der).hexdigest()
    return EARLIER.get(digest, digest)


def check_anchor(root_der: bytes, policy: PlatformPolicy, vendor: frozenset[str] | None) -> str:
    """Return the digest of a root the policy trusts; raises EvidenceError (``root``).

    ``vendor`` are the roots that can be genuine at all: that a policy names another among its anchors does
    not make it so. None where operators have roots of their own.
    """
    digest = anchor_of(root_der)
    genuine = digest in policy.anchors and (vendor is None or digest in vendor)
    if not genuine and digest not in policy.simulator_anchors:
        raise EvidenceError("root", f"root certificate {digest} is not one this policy trusts")
    return digest
