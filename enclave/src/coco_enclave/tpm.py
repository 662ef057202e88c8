"""TPM 2.0 quotes: what a TPM signed over its registers, and whether it did.

Sources: TCG "TPM 2.0 Library", part 2 (TPMS_ATTEST, TPMT_SIGNATURE, TPMT_PUBLIC). Must not know what the
registers mean; that is for who reads the log (``event_log``, ``boot_log``) or pins values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Final

import attrs
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from coco_enclave.errors import EvidenceError
from coco_enclave.pki import PublicKey
from coco_enclave.reader import Reader

SHA1, SHA256, SHA384, SHA512 = 0x0004, 0x000B, 0x000C, 0x000D
DIGEST_NAMES: Final[Mapping[int, str]] = {SHA1: "sha1", SHA256: "sha256", SHA384: "sha384", SHA512: "sha512"}
DIGEST_SIZES: Final[Mapping[int, int]] = {SHA1: 20, SHA256: 32, SHA384: 48, SHA512: 64}
_HASHES: Final[Mapping[int, type[hashes.HashAlgorithm]]] = {
    SHA256: hashes.SHA256,
    SHA384: hashes.SHA384,
    SHA512: hashes.SHA512,
}
RSASSA, RSAPSS, ECDSA = 0x0014, 0x0016, 0x0018
_SCHEMES: Final = frozenset({RSASSA, RSAPSS, ECDSA})

REGISTERS: Final = 24
_LATE_LAUNCH: Final = range(17, 23)
_GENERATED: Final = 0xFF544347
_ATTEST_QUOTE: Final = 0x8018
_QUOTE_SIZE_MAX_BYTES: Final = 1024
_SIGNATURE_SIZE_MAX_BYTES: Final = 1024
_SELECTIONS_MAX: Final = 4
RSA_BITS: Final = frozenset({2048, 3072, 4096})


@attrs.frozen(kw_only=True)
class TpmQuote:
    """A TPMS_ATTEST of type quote."""

    signer_name: bytes
    """Name of the key that signed it: an algorithm and a digest of its public area."""
    nonce: bytes
    """What the caller asked it to be made for (``extraData``)."""
    clock_ms: int
    reset_count: int
    restart_count: int
    clock_safe: bool
    firmware_version: int
    registers: tuple[tuple[int, int], ...]
    """Which registers are quoted: bank (a TPM algorithm) and index, in the order they are digested in."""
    digest: bytes
    signed: bytes = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class TpmSignature:
    """A TPMT_SIGNATURE: the signature in the library's form, with scheme and hash."""

    scheme: int
    hash: int
    value: bytes = attrs.field(repr=False)


def parse_quote(data: bytes) -> TpmQuote:
    """Read a TPMS_ATTEST; raises EvidenceError (``malformed``; ``tpm_magic`` where it is no quote)."""
    reader = Reader(data, "TPM quote")
    if len(data) > _QUOTE_SIZE_MAX_BYTES:
        raise reader.malformed(f"it has {len(data)} bytes")
    if reader.u32_be() != _GENERATED:
        raise EvidenceError("tpm_magic", "TPM quote: what was signed was not made by a TPM")
    if (kind := reader.u16_be()) != _ATTEST_QUOTE:
        raise EvidenceError("tpm_magic", f"TPM quote: what was signed is of type {kind:#06x}, not a quote")
    signer_name, nonce = reader.sized(), reader.sized()
    clock_ms, reset_count, restart_count, safe = (
        reader.u64_be(),
        reader.u32_be(),
        reader.u32_be(),
        reader.u8(),
    )
    firmware_version = reader.u64_be()
    count = reader.u32_be()
    if count > _SELECTIONS_MAX:
        raise reader.malformed(f"{count} banks are selected")
    registers: list[tuple[int, int]] = []
    for _ in range(count):
        bank, size = reader.u16_be(), reader.u8()
        if size > REGISTERS // 8:
            raise reader.malformed(f"a selection of {size} bytes")
        bits = int.from_bytes(reader.take(size), "little")
        registers.extend((bank, index) for index in range(8 * size) if bits >> index & 1)
    digest = reader.sized()
    reader.finish()
    if len(set(registers)) != len(registers):
        raise reader.malformed("a register is selected twice")
    return TpmQuote(
        signer_name=signer_name,
        nonce=nonce,
        clock_ms=clock_ms,
        reset_count=reset_count,
        restart_count=restart_count,
        clock_safe=safe == 1,
        firmware_version=firmware_version,
        registers=tuple(registers),
        digest=digest,
        signed=data,
    )


def parse_signature(data: bytes) -> TpmSignature:
    """Read a TPMT_SIGNATURE; raises EvidenceError (``malformed``, ``unsupported``)."""
    reader = Reader(data, "TPM signature")
    if len(data) > _SIGNATURE_SIZE_MAX_BYTES:
        raise reader.malformed(f"it has {len(data)} bytes")
    scheme, algorithm = reader.u16_be(), reader.u16_be()
    if scheme not in _SCHEMES or algorithm not in DIGEST_NAMES:
        raise EvidenceError("unsupported", f"TPM signature: scheme {scheme:#06x} with hash {algorithm:#06x}")
    if scheme == ECDSA:
        r, s = int.from_bytes(reader.sized(), "big"), int.from_bytes(reader.sized(), "big")
        value = encode_dss_signature(r, s)
    else:
        value = reader.sized()
    reader.finish()
    return TpmSignature(scheme=scheme, hash=algorithm, value=value)


def bare_signature(data: bytes) -> TpmSignature:
    """Return an RSASSA signature with SHA-256 that comes bare, as Azure's tools hand it."""
    if len(data) > _SIGNATURE_SIZE_MAX_BYTES:
        raise EvidenceError("malformed", f"TPM signature: it has {len(data)} bytes")
    return TpmSignature(scheme=RSASSA, hash=SHA256, value=data)


def check_signature(quote: TpmQuote, signature: TpmSignature, key: PublicKey, *, sha1: bool = False) -> None:
    """Check that ``key`` signed a quote; raises EvidenceError (``unsupported``, ``signature``).

    SHA-1 is refused unless asked for: whoever can find collisions in it has quotes signed that are none.
    """
    algorithm = hashes.SHA1 if sha1 and signature.hash == SHA1 else _HASHES.get(signature.hash)
    if algorithm is None:
        raise EvidenceError(
            "unsupported", f"TPM signature: hash {DIGEST_NAMES[signature.hash]} is not accepted"
        )
    try:
        if isinstance(key, rsa.RSAPublicKey):
            _check_rsa(quote.signed, signature, key, algorithm())
        else:
            _check_ecdsa(quote.signed, signature, key, algorithm())
    except (InvalidSignature, ValueError, UnsupportedAlgorithm) as error:
        raise EvidenceError("signature", "TPM quote: it is not signed by the attestation key") from error


def _check_rsa(
    signed: bytes, signature: TpmSignature, key: rsa.RSAPublicKey, algorithm: hashes.HashAlgorithm
) -> None:
    if key.key_size not in RSA_BITS:
        raise EvidenceError("unsupported", f"TPM attestation key: RSA of {key.key_size} bits")
    if signature.scheme == RSASSA:
        key.verify(signature.value, signed, padding.PKCS1v15(), algorithm)
    elif signature.scheme == RSAPSS:
        # TPMs take the digest's size for the salt, or all that fits (part 1, B.7); both are sound.
        pss = padding.PSS(mgf=padding.MGF1(algorithm), salt_length=padding.PSS.AUTO)
        key.verify(signature.value, signed, pss, algorithm)
    else:
        raise EvidenceError("signature", "TPM quote: an elliptic signature by an RSA key")


def _check_ecdsa(
    signed: bytes, signature: TpmSignature, key: ec.EllipticCurvePublicKey, algorithm: hashes.HashAlgorithm
) -> None:
    if not isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
        raise EvidenceError("unsupported", f"TPM attestation key: curve {key.curve.name}")
    if signature.scheme != ECDSA:
        raise EvidenceError("signature", "TPM quote: an RSA signature by an elliptic key")
    key.verify(signature.value, signed, ec.ECDSA(algorithm))


def check_nonce(quote: TpmQuote, expected_report_data: bytes) -> None:
    """Check what a quote was made for; raises EvidenceError (``tpm_nonce``).

    It is the expected bytes, or SHA-256 of them: many TPMs take less than 64 bytes.
    """
    if quote.nonce not in (expected_report_data, hashlib.sha256(expected_report_data).digest()):
        raise EvidenceError("tpm_nonce", "TPM quote: made for another nonce")


def at_start(index: int, bank: int) -> bytes:
    """Return a register that nothing was extended into: zeros, or ones where only a late launch may."""
    return (b"\xff" if index in _LATE_LAUNCH else b"\0") * DIGEST_SIZES[bank]


def check_registers(
    quote: TpmQuote, values: Mapping[int, bytes], bank: int, required: Collection[int]
) -> dict[int, bytes]:
    """Return the quoted registers of ``bank`` after checking that ``values`` are what the quote digests.

    A value that is missing counts as the register's at start. Raises EvidenceError: ``tpm_selection`` where a
    required register is not quoted or another bank is, ``tpm_digest`` where values are others than quoted.
    """
    quoted = [index for of, index in quote.registers if of == bank]
    if len(quoted) != len(quote.registers):
        raise EvidenceError("tpm_selection", "TPM quote: it is over another bank of registers")
    missing = sorted(set(required) - set(quoted))
    if missing:
        raise EvidenceError("tpm_selection", f"TPM quote: registers {missing} are not quoted")
    found = {index: values.get(index, at_start(index, bank)) for index in quoted}
    if any(len(value) != DIGEST_SIZES[bank] for value in found.values()):
        raise EvidenceError("tpm_digest", "TPM quote: the value of a register is of another size")
    # The digest over the registers is of the signing scheme's hash, not of the bank's; its size tells which.
    name = next((DIGEST_NAMES[of] for of, size in DIGEST_SIZES.items() if size == len(quote.digest)), None)
    together = b"".join(found[index] for index in quoted)
    if name is None or hashlib.new(name, together, usedforsecurity=False).digest() != quote.digest:
        raise EvidenceError("tpm_digest", "TPM quote: registers have other values than quoted")
    return found
