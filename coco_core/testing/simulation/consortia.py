"""Keys of simulated nodes: real ECDSA, with nonces that follow from key and message (RFC 6979).

So one seed gives the same ledgers byte for byte; verification is the production code's own. Certificates
are made once in a process, for they cost more than a whole world.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import attrs
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from coco_core.crypto import PrivateKey
from coco_core.testing.consortium import Consortium

_MESSAGE: Final = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
_DIGEST: Final = ec.ECDSA(utils.Prehashed(hashes.SHA256()), deterministic_signing=True)


@attrs.frozen(slots=True, eq=False, repr=False)
class DeterministicKey(PrivateKey):
    """A P-256 key whose signature over the same bytes is always the same."""

    @classmethod
    def of(cls, key: PrivateKey) -> DeterministicKey:
        """Return ``key``, signing so."""
        return cls(key.key, key.public)

    def sign(self, message: bytes) -> bytes:
        """Return a DER signature over ``message``."""
        return self.key.sign(message, _MESSAGE)

    def sign_digest(self, digest: bytes) -> bytes:
        """Return a DER signature over an existing SHA-256 ``digest``."""
        return self.key.sign(digest, _DIGEST)


@cache
def simulated_consortium(count: int) -> Consortium:
    """Return a consortium of ``count`` nodes that sign deterministically."""
    made = Consortium.of(count)
    identities = tuple(attrs.evolve(one, key=DeterministicKey.of(one.key)) for one in made.identities)
    service = attrs.evolve(made.service, key=DeterministicKey.of(made.service.key))
    return attrs.evolve(made, identities=identities, service=service)
