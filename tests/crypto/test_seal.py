"""Sealed secrets open with the right key and purpose only."""

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from coco_core.crypto import Curve, PrivateKey, hpke_open, hpke_seal
from coco_core.errors import AttestationError


def _pairs() -> list[tuple[object, object]]:
    keys = [PrivateKey.generate(curve) for curve in Curve]
    x25519 = X25519PrivateKey.generate()
    return [*((key.public, key) for key in keys), (x25519.public_key(), x25519)]


@pytest.mark.parametrize(("public", "private"), _pairs(), ids=[*(curve.value for curve in Curve), "X25519"])
def test_sealed_secret_opens_for_its_key_and_purpose_only(public: object, private: object) -> None:
    sealed = hpke_seal(public, b"ledger secrets", b"secret")
    assert hpke_open(private, b"ledger secrets", sealed) == b"secret"
    assert hpke_seal(public, b"ledger secrets", b"secret") != sealed
    with pytest.raises(AttestationError):
        hpke_open(private, b"another purpose", sealed)
    with pytest.raises(AttestationError):
        hpke_open(PrivateKey.generate(), b"ledger secrets", sealed)
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with pytest.raises(AttestationError):
            hpke_open(private, b"ledger secrets", bytes(changed))
    for short in (b"", sealed[:10], sealed[:-1]):
        with pytest.raises(AttestationError):
            hpke_open(private, b"ledger secrets", short)
