"""Thin, misuse-resistant cryptography over the ``cryptography`` library and libsodium.

Verification raises. The only room that may use entropy, and only through those libraries. Must not know
what is signed.
"""

from coco_core.crypto.certificates import (
    Certificate,
    check_endorsed,
    check_issued,
    check_issuers,
    check_renewed,
    endorse,
    read_certificate,
    read_certificate_der,
    renewed,
    self_signed,
    service_id,
)
from coco_core.crypto.digests import DIGEST_SIZE_BYTES, sha256
from coco_core.crypto.keys import Curve, PrivateKey, PublicKey, SignatureError
from coco_core.crypto.member_encryption import (
    check_encryption_key,
    make_encryption_key,
    unwrap_by_member,
    wrap_for_member,
)
from coco_core.crypto.predecessors import (
    Predecessor,
    check_issued_before,
    endorse_predecessor,
    read_predecessors,
)
from coco_core.crypto.seal import hpke_open, hpke_seal
from coco_core.crypto.threshold import (
    Dealt,
    DecryptionKey,
    Encapsulated,
    PartialDecryption,
    Share,
    ShareError,
    check_dealing,
    check_encapsulated,
    check_partial,
    check_point,
    combine,
    deal,
    encapsulate,
    partial,
    reconstruct,
)
from coco_core.crypto.tokens import check_token, token_key, token_key_id

__all__ = [
    "Certificate",
    "Curve",
    "DIGEST_SIZE_BYTES",
    "Dealt",
    "DecryptionKey",
    "Encapsulated",
    "PartialDecryption",
    "Predecessor",
    "PrivateKey",
    "PublicKey",
    "Share",
    "ShareError",
    "SignatureError",
    "check_dealing",
    "check_encapsulated",
    "check_encryption_key",
    "check_endorsed",
    "check_issued",
    "check_issued_before",
    "check_issuers",
    "check_partial",
    "check_point",
    "check_renewed",
    "check_token",
    "combine",
    "deal",
    "encapsulate",
    "endorse",
    "endorse_predecessor",
    "hpke_open",
    "hpke_seal",
    "make_encryption_key",
    "partial",
    "read_certificate",
    "read_certificate_der",
    "read_predecessors",
    "reconstruct",
    "renewed",
    "self_signed",
    "service_id",
    "sha256",
    "token_key",
    "token_key_id",
    "unwrap_by_member",
    "wrap_for_member",
]
