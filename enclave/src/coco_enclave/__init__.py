"""PUBLIC DOOR: evidence of TEEs verified, and made where the hardware is. Knows no ledger, no network."""

from coco_enclave.errors import EvidenceError
from coco_enclave.evidence import TeeEvidence, decode, decode_parts, encode, encode_parts
from coco_enclave.identity import NAME, VERSION
from coco_enclave.policy import PlatformPolicy, TeePolicy, policy_from_json, policy_to_json, read_policy
from coco_enclave.seal import (
    SealContext,
    SealedHeader,
    SealingError,
    SealingKey,
    SealPolicy,
    Unsealed,
    read_header,
    seal,
    unseal,
)
from coco_enclave.verdict import Claims, Status, Verdict
from coco_enclave.verify import PlatformVerifier, appraise, verify

__all__ = [
    "Claims",
    "EvidenceError",
    "NAME",
    "PlatformPolicy",
    "PlatformVerifier",
    "SealContext",
    "SealPolicy",
    "SealedHeader",
    "SealingError",
    "SealingKey",
    "Status",
    "TeeEvidence",
    "TeePolicy",
    "Unsealed",
    "VERSION",
    "Verdict",
    "appraise",
    "decode",
    "decode_parts",
    "encode",
    "encode_parts",
    "policy_from_json",
    "policy_to_json",
    "read_header",
    "read_policy",
    "seal",
    "unseal",
    "verify",
]
