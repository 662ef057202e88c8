"""What is kept in the ledger's maps, and reading it back. Knows no rules: whoever writes has checked.

| map | key | value |
|---|---|---|
| state | StateRef, 36 bytes | ``State``: an output, packed; who participates; the parameters of its maker |
| consumed | StateRef | identifier of the transaction that used it up |
| committed | transaction identifier | ``Receipt`` |
| request | seqno, 8 bytes | ``RequestRecord``: who asked for what is committed there |
| tx | transaction identifier | ``Kept``: the transaction as it came, packed; only where they are kept |
| attachment | SHA-256 | bytes of a jar |
| attachment_part | SHA-256 of the jar, index in 1 byte | bytes of a part, until all are there |
| attachment_info | SHA-256 | ``AttachmentInfo`` as JSON |
| params | SHA-256 | the ``NetworkParameters`` |
| keys | ``notary`` | seed of the notary's Ed25519 key |
| notary | ``identity``, ``terms`` | ``Identity`` and ``Terms`` as JSON, in the clear |
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final, Self

import attrs
import orjson

from coco_corda.identity import NAME
from coco_corda.packing import pack, unpack
from coco_corda.refs import HASH_SIZE, StateRef
from coco_core.adapter import ReadView
from coco_core.errors import IntegrityError

STATE: Final = f"{NAME}.state"
CONSUMED: Final = f"{NAME}.consumed"
COMMITTED: Final = f"{NAME}.committed"
REQUEST: Final = f"{NAME}.request"
TX: Final = f"{NAME}.tx"
ATTACHMENT: Final = f"{NAME}.attachment"
ATTACHMENT_INFO: Final = f"{NAME}.attachment_info"
ATTACHMENT_PART: Final = f"{NAME}.attachment_part"
PARAMS: Final = f"{NAME}.params"
KEYS: Final = f"{NAME}.keys"
NOTARY: Final = f"public:{NAME}.notary"
MAPS: Final = (
    ATTACHMENT,
    ATTACHMENT_INFO,
    ATTACHMENT_PART,
    COMMITTED,
    CONSUMED,
    KEYS,
    PARAMS,
    REQUEST,
    STATE,
    TX,
    NOTARY,
)

NOTARY_KEY: Final = b"notary"
IDENTITY: Final = b"identity"
TERMS: Final = b"terms"

_STATE_HEAD: Final = struct.Struct(">32sH")
_RECEIPT: Final = struct.Struct(">?32sQIB64s")
_REQUEST: Final = struct.Struct(">32sH")


@attrs.frozen(kw_only=True)
class State:
    """An output of a committed transaction."""

    params_hash: bytes
    """Hash of the network parameters of the transaction that made it; zeros when it names none."""
    participants: Sequence[bytes]
    """SHA-256 of each participant's encoded key, keys of composite keys one by one."""
    output: bytes = attrs.field(repr=False)
    """The component as it is in the transaction: a serialised ``TransactionState``."""

    def pack(self) -> bytes:
        """Return the stored form."""
        head = _STATE_HEAD.pack(self.params_hash, len(self.participants))
        return b"".join((head, *self.participants, pack(self.output)))

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Read the stored form; raises IntegrityError."""
        params_hash, keys, packed = cls._split(data)
        return cls(params_hash=params_hash, participants=keys, output=unpack(packed))

    @classmethod
    def participants_of(cls, data: bytes) -> Sequence[bytes]:
        """Read from the stored form who participates, and nothing else; raises IntegrityError."""
        return cls._split(data)[1]

    @staticmethod
    def _split(data: bytes) -> tuple[bytes, tuple[bytes, ...], bytes]:
        try:
            params_hash, count = _STATE_HEAD.unpack_from(data)
        except struct.error as error:
            raise IntegrityError("a stored state is cut off") from error
        return params_hash, *_hashes(data[_STATE_HEAD.size :], count)


@attrs.frozen(kw_only=True)
class Receipt:
    """What whoever had a transaction committed gets: the notary's signature, where one is needed."""

    tx_id: bytes
    time_ms: int
    is_notarised: bool
    """False for an issuance that needs no notary: it is recorded so that its outputs may be used."""
    platform_version: int = 0
    scheme: int = 0
    """Corda's number of the signature scheme; 4 is Ed25519."""
    signature: bytes = bytes(64)

    def pack(self) -> bytes:
        """Return the stored form."""
        return _RECEIPT.pack(
            self.is_notarised, self.tx_id, self.time_ms, self.platform_version, self.scheme, self.signature
        )

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Read the stored form; raises IntegrityError."""
        try:
            is_notarised, tx_id, time_ms, platform_version, scheme, signature = _RECEIPT.unpack(data)
        except struct.error as error:
            raise IntegrityError("a stored receipt has another size") from error
        return cls(
            tx_id=tx_id,
            time_ms=time_ms,
            is_notarised=is_notarised,
            platform_version=platform_version,
            scheme=scheme,
            signature=signature,
        )


@attrs.frozen(kw_only=True)
class Kept:
    """A whole transaction, and whose it is."""

    participants: Sequence[bytes]
    """SHA-256 of the keys that participate in what it uses up or makes."""
    stx: bytes = attrs.field(repr=False)

    def pack(self) -> bytes:
        """Return the stored form."""
        return b"".join((len(self.participants).to_bytes(2), *self.participants, pack(self.stx)))

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Read the stored form; raises IntegrityError."""
        keys, rest = _hashes(data[2:], int.from_bytes(data[:2]))
        return cls(participants=keys, stx=unpack(rest))

    @staticmethod
    def participants_of(data: bytes) -> Sequence[bytes]:
        """Read from the stored form whose it is, and nothing else; raises IntegrityError."""
        return _hashes(data[2:], int.from_bytes(data[:2]))[0]


@attrs.frozen(kw_only=True)
class AttachmentInfo:
    """What a jar is."""

    signers: tuple[bytes, ...]
    """SHA-256 of the key of each who signed all of it."""
    contracts: tuple[str, ...]
    class_count: int

    def pack(self) -> bytes:
        """Return the stored form."""
        signers = [each.hex() for each in self.signers]
        return orjson.dumps(
            {"signers": signers, "contracts": list(self.contracts), "classes": self.class_count}
        )

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Read the stored form."""
        found = orjson.loads(data)
        return cls(
            signers=tuple(map(bytes.fromhex, found["signers"])),
            contracts=tuple(found["contracts"]),
            class_count=found["classes"],
        )


@attrs.frozen(kw_only=True)
class RequestRecord:
    """Who asked for a transaction to be notarised, for whoever audits the notary."""

    tx_id: bytes
    caller: str
    """Who asked as the consortium's tables tell, ``kind`` or ``kind:identity``."""
    signature: bytes = b""
    """The serialised request signature that came along, if one did."""

    def pack(self) -> bytes:
        """Return the stored form."""
        caller = self.caller.encode()
        return _REQUEST.pack(self.tx_id, len(caller)) + caller + self.signature

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Read the stored form; raises IntegrityError."""
        try:
            tx_id, size = _REQUEST.unpack_from(data)
            caller = data[_REQUEST.size : _REQUEST.size + size].decode()
        except (struct.error, UnicodeDecodeError) as error:
            raise IntegrityError("a stored request is none") from error
        return cls(tx_id=tx_id, caller=caller, signature=data[_REQUEST.size + size :])


def _hashes(data: bytes, count: int) -> tuple[tuple[bytes, ...], bytes]:
    """Split ``count`` hashes off; raises IntegrityError."""
    end = count * HASH_SIZE
    if len(data) < end:
        raise IntegrityError("a stored row is cut off")
    return tuple(data[at : at + HASH_SIZE] for at in range(0, end, HASH_SIZE)), data[end:]


def seqno_key(seqno: int) -> bytes:
    """Return the key of a seqno."""
    return seqno.to_bytes(8)


def state_of(view: ReadView, ref: StateRef) -> State | None:
    """Return an output that is kept, used up or not; None when there is none."""
    row = view.get(STATE, ref.key)
    return None if row is None else State.unpack(row)


def has_state(view: ReadView, ref: StateRef) -> bool:
    """Return whether an output is kept."""
    return view.get(STATE, ref.key) is not None


def consumer_of(view: ReadView, ref: StateRef) -> bytes | None:
    """Return the identifier of the transaction that used a state up; None when none did."""
    return view.get(CONSUMED, ref.key)


def receipt_of(view: ReadView, tx_id: bytes) -> bytes | None:
    """Return the packed receipt of a committed transaction, or None."""
    return view.get(COMMITTED, tx_id)


def attachment(view: ReadView, digest: bytes) -> bytes | None:
    """Return the bytes of an attachment, or None."""
    return view.get(ATTACHMENT, digest)


def attachment_info(view: ReadView, digest: bytes) -> AttachmentInfo | None:
    """Return what an attachment is, or None."""
    row = view.get(ATTACHMENT_INFO, digest)
    return None if row is None else AttachmentInfo.unpack(row)


def part_key(digest: bytes, index: int) -> bytes:
    """Return the key of a part of an attachment."""
    return digest + bytes([index])


def parameters(view: ReadView, digest: bytes) -> bytes | None:
    """Return network parameters, or None."""
    return view.get(PARAMS, digest)


def all_states(view: ReadView) -> Iterator[tuple[StateRef, State]]:
    """Yield every output that is kept. Costs a pass over the map."""
    for key, row in view.items(STATE):
        yield StateRef.of_key(key), State.unpack(row)


def seed(view: ReadView) -> bytes | None:
    """Return the seed of the notary's key; None before genesis."""
    return view.get(KEYS, NOTARY_KEY)
