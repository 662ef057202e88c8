"""What members do from afar: read what governs a service, sign what they ask for, post it.

Believes a node what it says of the tables; whoever must not, reads the ledger. Must not keep keys: they
are arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
import orjson

from coco_core.base import limits
from coco_core.client.http import AnswerError, Connection, MalformedAnswerError, read_answer
from coco_core.crypto import PrivateKey, read_certificate, service_id
from coco_core.errors import MemberError
from coco_core.governance import MemberMessage, sign_request
from coco_core.kv import Store, View

_COSE: Final = "application/cose"


class RequestRefusedError(AnswerError):
    """The service refuses what a member asks for; ``code`` says why and stays the same."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


@attrs.frozen(kw_only=True)
class Signer:
    """A member with its key at hand."""

    certificate: str
    """PEM."""
    key: PrivateKey = attrs.field(repr=False)

    @property
    def member_id(self) -> str:
        """The member's name: the fingerprint of its certificate."""
        return read_certificate(self.certificate).fingerprint

    def sign(self, message: MemberMessage, created_at_s: int, service: str | None = None) -> bytes:
        """Return the signed request, made at ``created_at_s``, for the service of that ID if one is given."""
        return sign_request(
            self.key,
            self.certificate,
            message.kind,
            message.payload,
            created_at_s=created_at_s,
            proposal_id=message.proposal_id,
            service=service,
        )


class GovernanceClient:
    """A member's view of one node; MalformedAnswerError when what answers is none."""

    def __init__(self, connection: Connection) -> None:
        """Ask over ``connection``, made to the node's operators' interface."""
        self._connection = connection

    async def post(self, path: str, request: bytes) -> Any:
        """Post a signed request and return the answer; raises RequestRefusedError with the service's reason.

        Raises MemberError for one that is longer than any node reads.
        """
        if len(request) > limits.SIGNED_REQUEST_SIZE_MAX_BYTES:
            most = limits.SIGNED_REQUEST_SIZE_MAX_BYTES
            raise MemberError(f"a signed request of {len(request)} bytes exceeds {most}")
        await self._connection.send("POST", path, request, _COSE)
        return read_answer(path, await self._answer(path))

    async def read(self, path: str) -> Any:
        """Return what the JSON at ``path`` says; raises RequestRefusedError when there is nothing."""
        return read_answer(path, await self.read_bytes(path))

    async def read_bytes(self, path: str) -> bytes:
        """Return what is at ``path``; raises RequestRefusedError when there is nothing."""
        await self._connection.send("GET", path)
        return await self._answer(path)

    async def service_id(self) -> str:
        """Return SHA-256 of the service's public key in hex: what requests are made for."""
        path = "/gov/service/info"
        match await self.read(path):
            case {"certificate": str(certificate)}:
                return service_id(certificate)
        raise MalformedAnswerError(f"{path} answered without a certificate")

    async def constitution(self) -> str:
        """Return the constitution in force; raises RequestRefusedError when nobody governs the service."""
        path = "/gov/service/constitution"
        try:
            return (await self.read_bytes(path)).decode()
        except UnicodeDecodeError as error:
            raise MalformedAnswerError(f"{path} did not answer in UTF-8: {error}") from error

    async def recovery_state(self) -> View:
        """Return the tables of shares and epochs, as a member needs them for a partial decryption."""
        path = "/gov/recovery/state"
        try:
            return _view(await self.read(path))
        except (AttributeError, TypeError, ValueError) as error:
            raise MalformedAnswerError(f"{path} answered no tables: {error!r}") from error

    async def _answer(self, path: str) -> bytes:
        answer = await self._connection.receive()
        if answer.status < 400:
            return answer.body
        code, message = f"status {answer.status}", answer.body[:1000].decode(errors="replace").strip()
        try:
            match orjson.loads(answer.body):
                case {"error": {"code": str(code), "message": str(message)}}:
                    pass
        except ValueError:
            pass
        raise RequestRefusedError(code, message or path)


def _view(tables: Mapping[str, Mapping[str, str]]) -> View:
    store = Store()
    writes = {
        name: {bytes.fromhex(key): value.encode() for key, value in rows.items()}
        for name, rows in tables.items()
    }
    store.append(1, writes)
    store.commit(1)
    return store.view()
