"""A simulated TPM: registers, the log of what was extended into them, quotes by a key of its own.

Layouts: TCG "TPM 2.0 Library" part 2, "PC Client Platform Firmware Profile".
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import ObjectIdentifier

from coco_enclave.attestation_key import AK_PURPOSE
from coco_enclave.testing.authority import Issued, issue, rsa_key
from coco_enclave.tpm import DIGEST_NAMES, DIGEST_SIZES, ECDSA, REGISTERS, RSAPSS, RSASSA, SHA256, at_start

_HASHES: Final[Mapping[str, Callable[[], hashes.HashAlgorithm]]] = {
    "sha1": hashes.SHA1,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
}
_QUOTE: Final = 0x8018
_GENERATED: Final = 0xFF544347


@attrs.frozen(kw_only=True)
class TpmVendor:
    """A maker of TPMs: a root, and what issues certificates for attestation keys."""

    root: Issued
    authority: Issued

    @property
    def anchor(self) -> str:
        """SHA-256 of the root certificate: what a policy pins."""
        return hashlib.sha256(self.root.der).hexdigest()


def make_tpm_vendor(now_s: int) -> TpmVendor:
    """Make a root and its authority."""
    root = issue("Simulated TPM Root", rsa_key(), None, now_s=now_s, authority=True)
    return TpmVendor(
        root=root, authority=issue("Simulated TPM CA", rsa_key(), root, now_s=now_s, authority=True)
    )


@attrs.define(kw_only=True)
class Tpm:
    """One TPM since its start."""

    ak: Issued
    chain: bytes
    """The certificates of its attestation key, PEM: collateral."""
    bank: int = SHA256
    registers: dict[int, bytes] = attrs.field(factory=dict)
    log: bytes = b""
    reset_count: int = 1

    def extend(
        self, register: int, kind: int, data: bytes, *, text: bytes | None = None, digest: bytes | None = None
    ) -> None:
        """Extend what was measured and log it; ``text`` and ``digest`` log something else than that."""
        name = DIGEST_NAMES[self.bank]
        if not self.log:
            self.log = _log_header(self.bank)
        measured = digest if digest is not None else hashlib.new(name, data, usedforsecurity=False).digest()
        before = self.register(register)
        self.registers[register] = hashlib.new(name, before + measured, usedforsecurity=False).digest()
        self.log += log_event(register, kind, self.bank, measured, data if text is None else text)

    def register(self, index: int) -> bytes:
        """Return the value of a register."""
        return self.registers.get(index, at_start(index, self.bank))

    def quote(
        self,
        nonce: bytes,
        selection: Sequence[int],
        *,
        scheme: int = RSASSA,
        algorithm: int = SHA256,
        magic: int = _GENERATED,
        kind: int = _QUOTE,
    ) -> tuple[bytes, bytes]:
        """Return a quote (TPMS_ATTEST) and its signature (TPMT_SIGNATURE)."""
        bits = sum(1 << index for index in selection)
        together = b"".join(self.register(index) for index in sorted(selection))
        digest = hashlib.new(DIGEST_NAMES[algorithm], together, usedforsecurity=False).digest()
        quote = b"".join(
            (
                struct.pack(">IH", magic, kind),
                _sized(struct.pack(">H", SHA256) + hashlib.sha256(self.ak.der).digest()),
                _sized(nonce),
                struct.pack(">QIIB", 1_000, self.reset_count, 0, 1),
                bytes(8),
                struct.pack(">IHB", 1, self.bank, REGISTERS // 8) + bits.to_bytes(REGISTERS // 8, "little"),
                _sized(digest),
            )
        )
        return quote, self.sign(quote, scheme=scheme, algorithm=algorithm)

    def sign(self, data: bytes, *, scheme: int = RSASSA, algorithm: int = SHA256) -> bytes:
        """Return a TPMT_SIGNATURE over any bytes."""
        hash_ = _HASHES[DIGEST_NAMES[algorithm]]()
        key = self.ak.key
        if isinstance(key, ec.EllipticCurvePrivateKey):
            r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hash_)))
            size = (key.key_size + 7) // 8
            value = _sized(r.to_bytes(size, "big")) + _sized(s.to_bytes(size, "big"))
            return struct.pack(">HH", ECDSA, algorithm) + value
        assert isinstance(key, rsa.RSAPrivateKey)
        if scheme == RSAPSS:
            pss = padding.PSS(mgf=padding.MGF1(hash_), salt_length=DIGEST_SIZES[algorithm])
            return struct.pack(">HH", RSAPSS, algorithm) + _sized(key.sign(data, pss, hash_))
        return struct.pack(">HH", RSASSA, algorithm) + _sized(key.sign(data, padding.PKCS1v15(), hash_))


def make_tpm(
    vendor: TpmVendor,
    *,
    now_s: int,
    bank: int = SHA256,
    elliptic: bool = False,
    purposes: Sequence[ObjectIdentifier] = (AK_PURPOSE,),
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | None = None,
) -> Tpm:
    """Make a TPM that was started and measured nothing yet."""
    made = key or (ec.generate_private_key(ec.SECP256R1()) if elliptic else rsa_key())
    usage = x509.ExtendedKeyUsage(purposes).public_bytes() if purposes else None
    ak = issue(
        "Simulated AK",
        made,
        vendor.authority,
        now_s=now_s,
        extensions={"2.5.29.37": usage} if usage is not None else {},
    )
    return Tpm(ak=ak, chain=ak.pem + vendor.authority.pem + vendor.root.pem, bank=bank)


def log_event(register: int, kind: int, bank: int, digest: bytes, data: bytes) -> bytes:
    """Return one entry of a log (TCG_PCR_EVENT2)."""
    return struct.pack("<IIIH", register, kind, 1, bank) + digest + struct.pack("<I", len(data)) + data


def _log_header(bank: int) -> bytes:
    spec = b"Spec ID Event03\0" + struct.pack("<IBBBBIHH", 0, 0, 2, 0, 2, 1, bank, DIGEST_SIZES[bank]) + b"\0"
    return struct.pack("<II20sI", 0, 3, b"", len(spec)) + spec


def _sized(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data
