"""What a consortium agreed on: whose code it trusts, which network parameters hold, what is kept.

Begins with what genesis says; fields of the configuration that members set take the place of their part. They
name hashes only: jars and parameters are too large for proposals, so anybody may bring what a hash names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

import attrs
import orjson

from coco_corda import records
from coco_corda.limits import TRUST_MAX_CHARS
from coco_corda.refs import parse_hashes, sha256
from coco_core.adapter import ConfigurationField, ReadView
from coco_core.errors import AdapterError, MalformedError

KEEPS: Final = ("transactions", "states")
"""Whole transactions, so that they can be verified again; or nothing but states that are not used up, names
of those that are, and signatures."""
_HASHES: Final = "SHA-256 in hex, spaces between; those of genesis unless set"
CONFIGURATION: Final = tuple(
    ConfigurationField(name=name, kind="hashes", description=f"{what}: {_HASHES}", maximum=TRUST_MAX_CHARS)
    for name, what in (
        ("trusted_attachments", "CorDapp jars whose code may run"),
        ("trusted_signers", "keys (SubjectPublicKeyInfo) whose signed CorDapp jars may run"),
        ("network_parameters", "network parameters that transactions may name"),
    )
)


@attrs.frozen(kw_only=True)
class Terms:
    """What holds for one batch."""

    keeps: str = KEEPS[0]
    trusted_attachments: frozenset[bytes] = frozenset()
    trusted_signers: frozenset[bytes] = frozenset()
    network_parameters: frozenset[bytes] = frozenset()

    @property
    def keeps_transactions(self) -> bool:
        """Whether whole transactions are kept."""
        return self.keeps == KEEPS[0]

    def trusts(self, digest: bytes, info: records.AttachmentInfo) -> bool:
        """Return whether the code of an attachment may run."""
        return digest in self.trusted_attachments or not self.trusted_signers.isdisjoint(info.signers)

    def pack(self) -> bytes:
        """Return the stored form."""
        return orjson.dumps(
            {
                "keeps": self.keeps,
                "trusted_attachments": _texts(self.trusted_attachments),
                "trusted_signers": _texts(self.trusted_signers),
                "network_parameters": _texts(self.network_parameters),
            }
        )

    @classmethod
    def of(cls, view: ReadView, configuration: Mapping[str, Any]) -> Self:
        """Return genesis' terms with what the consortium set since; raises AdapterError without genesis."""
        row = view.get(records.NOTARY, records.TERMS)
        if row is None:
            raise AdapterError("the ledger has no terms")
        found = orjson.loads(row)
        chosen = {
            field.name: _read(configuration.get(field.name, " ".join(found[field.name])))
            for field in CONFIGURATION
        }
        return cls(keeps=found["keeps"], **chosen)


def domain(infos: Mapping[bytes, records.AttachmentInfo]) -> bytes:
    """Return the trust domain of code: whose jars run together, by who signed them or else by what they are.

    Transactions of one domain share a JVM. Two publishers' contracts in one transaction are a domain of their
    own, so that neither's meets the other's states anywhere else.
    """
    publishers = {
        b"".join(sorted(info.signers)) or digest for digest, info in infos.items() if info.class_count
    }
    return sha256(b"".join(sha256(each) for each in sorted(publishers)))


def _texts(hashes: frozenset[bytes]) -> list[str]:
    return sorted(each.hex() for each in hashes)


def _read(text: str) -> frozenset[bytes]:
    """Read hashes; raises AdapterError for anything else, which neither genesis nor a proposal sets."""
    try:
        return parse_hashes(text)
    except MalformedError as error:
        raise AdapterError(f"the ledger's terms: {error}") from error
