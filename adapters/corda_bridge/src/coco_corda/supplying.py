"""Jars and network parameters: anybody may bring what the consortium agreed on.

A jar that is larger than a payload comes in parts. They are kept until all are there, only for jars that
members trust by their hash: who signed one is not known before it is whole. A part that comes again takes the
place of the one before, so whoever brings other bytes under that hash is in nobody's way for long.
"""

from __future__ import annotations

from coco_corda import records, rejections
from coco_corda.limits import PARTS_MAX, UNPACKED_IN_VAIN_MAX
from coco_corda.payloads import Attachment, Parameters, Part
from coco_corda.refs import sha256
from coco_corda.terms import Terms
from coco_corda.verification import Broken, Failure, Unavailable, Verifier
from coco_core.adapter import Applied, ReadView, Rejected, Writes

Supplied = Attachment | Part | Parameters
PART_KEPT = b""
"""The receipt of a part behind which others are still missing; of a jar it is its hash."""


class Supplying:
    """Takes what comes in one batch beside transactions, which wait for it."""

    def __init__(self, terms: Terms, verifier: Verifier) -> None:
        """Take what the consortium agreed on in ``terms``; ``verifier`` reads it."""
        self._terms = terms
        self._verifier = verifier
        self._in_vain = 0
        """Jars that were unpacked to find who signed them, and were refused."""

    async def take(self, supplied: Supplied, state: ReadView) -> Applied | Rejected:
        """Take a jar, a part of one, or network parameters, if the consortium agreed on them."""
        match supplied:
            case Attachment():
                return await self._take_attachment(supplied.content, state)
            case Part():
                return await self._take_part(supplied, state)
            case Parameters():
                return await self._take_parameters(supplied.content, state)

    async def _take_parameters(self, content: bytes, state: ReadView) -> Applied | Rejected:
        digest = sha256(content)
        if records.parameters(state, digest) is not None:
            return rejections.committed_before(digest)
        if digest not in self._terms.network_parameters:
            return rejections.not_trusted("the consortium did not agree on these network parameters")
        read = await self._verifier.read_parameters(content)
        if isinstance(read, Failure):
            return _unreadable(read)
        return Applied({records.PARAMS: {digest: content}}, receipt=digest)

    async def _take_attachment(self, content: bytes, state: ReadView) -> Applied | Rejected:
        digest = sha256(content)
        if records.attachment(state, digest) is not None:
            return rejections.committed_before(digest)
        if digest in self._terms.trusted_attachments:
            return await self._look_into(digest, content)
        if not self._terms.trusted_signers:
            # Who signed it would not matter.
            return _not_trusted()
        if self._in_vain >= UNPACKED_IN_VAIN_MAX:
            return rejections.no_verifier("other jars are looked into here: send it again in a moment")
        taken = await self._look_into(digest, content)
        self._in_vain += isinstance(taken, Rejected)
        return taken

    async def _look_into(self, digest: bytes, content: bytes) -> Applied | Rejected:
        """Take a jar if it can be read, and is trusted by its hash or by who signed it."""
        found = await self._verifier.inspect(content)
        if isinstance(found, Failure):
            return _unreadable(found)
        info = records.AttachmentInfo(
            signers=tuple(sorted(sha256(key) for key in found.signers)),
            contracts=tuple(found.contracts),
            class_count=found.class_count,
        )
        if not self._terms.trusts(digest, info):
            return _not_trusted()
        writes: Writes = {
            records.ATTACHMENT: {digest: content},
            records.ATTACHMENT_INFO: {digest: info.pack()},
        }
        return Applied(writes, receipt=digest)

    async def _take_part(self, part: Part, state: ReadView) -> Applied | Rejected:
        digest = part.digest
        if records.attachment(state, digest) is not None:
            return rejections.committed_before(digest)
        if digest not in self._terms.trusted_attachments:
            return rejections.not_trusted("the consortium does not trust a jar of this hash: it is in parts")
        kept = {
            index: row
            for index in range(PARTS_MAX)
            if (row := state.get(records.ATTACHMENT_PART, records.part_key(digest, index))) is not None
        }
        all_ = {**kept, part.index: part.content}
        whole = b"".join(all_.get(index, b"") for index in range(part.count))
        if sha256(whole) != digest:
            key = records.part_key(digest, part.index)
            return Applied({records.ATTACHMENT_PART: {key: part.content}}, receipt=PART_KEPT)
        taken = await self._look_into(digest, whole)
        if isinstance(taken, Applied) and kept:
            taken.writes[records.ATTACHMENT_PART] = {records.part_key(digest, index): None for index in kept}
        return taken


def _not_trusted() -> Rejected:
    return rejections.not_trusted("the consortium trusts neither this jar nor who signed it")


def _unreadable(failure: Failure) -> Rejected:
    if isinstance(failure, Unavailable):
        return rejections.no_verifier(failure.message)
    return rejections.malformed(f"it cannot be read: {why(failure)}")


def why(failure: Failure) -> str:
    """Return a failure in one line."""
    if isinstance(failure, Broken | Unavailable):
        return failure.message
    return next((each.message for each in failure.causes if each.message), failure.kind)
