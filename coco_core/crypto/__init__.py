"""Thin, misuse-resistant cryptography over the ``cryptography`` library; verification raises.

The only room that may use entropy, and only through that library. Must not know what is signed.
"""

from coco_core.crypto.certificates import (
    Certificate,
    check_endorsed,
    check_issued,
    endorse,
    read_certificate,
    self_signed,
)
from coco_core.crypto.digests import DIGEST_SIZE_BYTES, sha256
from coco_core.crypto.keys import Curve, PrivateKey, PublicKey, SignatureError
from coco_core.crypto.seal import hpke_open, hpke_seal

__all__ = [
    "Certificate",
    "Curve",
    "DIGEST_SIZE_BYTES",
    "PrivateKey",
    "PublicKey",
    "SignatureError",
    "check_endorsed",
    "check_issued",
    "endorse",
    "hpke_open",
    "hpke_seal",
    "read_certificate",
    "self_signed",
    "sha256",
]
