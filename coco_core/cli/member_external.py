"""``coco member prepare`` and ``finish``: requests whose key is elsewhere, in an HSM or another machine.

``prepare`` writes a request without its signature, and beside it the bytes to be signed and their digest.
``finish`` takes the signature in any of three usual forms and posts the request.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs
import click
import orjson
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from coco_core.cli.asking import ADMIN, FILE, SERVICE, ask, now_s, read_bytes, service_context, write_new
from coco_core.cli.member_keys import CERTIFICATE, read_member_certificate
from coco_core.cli.member_requests import ballot_of, check_constitution, proposal_of
from coco_core.client import GovernanceClient
from coco_core.crypto import Curve, read_certificate
from coco_core.errors import AttestationError, MemberError, OperatorError
from coco_core.governance import (
    MemberMessage,
    assemble,
    check_signature,
    protected_header,
    read_signed_request,
    to_be_signed,
)

_OUT = click.option("--out", type=FILE, required=True, help="Where to write the request; not there yet.")
_ALGORITHMS: Final = {
    Curve.P256: ("ES256", hashlib.sha256),
    Curve.P384: ("ES384", hashlib.sha384),
    Curve.P521: ("ES512", hashlib.sha512),
}


@attrs.frozen(kw_only=True)
class Unsigned:
    """A request that waits for its signature."""

    path: str
    certificate: str
    protected: bytes
    payload: bytes

    @classmethod
    def of(cls, message: MemberMessage, certificate: str) -> Unsigned:
        """Return ``message`` as the holder of ``certificate`` is to sign it, made now."""
        protected = protected_header(
            certificate, message.kind, created_at_s=now_s(), proposal_id=message.proposal_id
        )
        return cls(path=message.path, certificate=certificate, protected=protected, payload=message.payload)

    @classmethod
    def read(cls, path: Path) -> Unsigned:
        """Read what ``write`` wrote; raises OperatorError naming the file."""
        try:
            match orjson.loads(read_bytes(path)):
                case {
                    "path": str(target),
                    "certificate": str(certificate),
                    "protected": str(protected),
                    "payload": str(payload),
                }:
                    return cls(
                        path=target,
                        certificate=read_certificate(certificate).pem,
                        protected=base64.b64decode(protected, validate=True),
                        payload=base64.b64decode(payload, validate=True),
                    )
        except (ValueError, AttestationError) as error:
            raise OperatorError(f"{path} is not what 'prepare' writes: {error}") from error
        raise OperatorError(f"{path} is not what 'prepare' writes")

    def write(self, path: Path) -> None:
        """Write the request to ``path`` and the bytes to be signed to ``path`` + ``.tbs``."""
        signed = to_be_signed(self.protected, self.payload)
        name, digest = _ALGORITHMS[self._curve]
        said = {
            "path": self.path,
            "certificate": self.certificate,
            "protected": base64.b64encode(self.protected).decode(),
            "payload": base64.b64encode(self.payload).decode(),
            "alg": name,
            "value": base64.b64encode(digest(signed).digest()).decode(),
        }
        beside = path.with_name(path.name + ".tbs")
        write_new(path, json.dumps(said, indent=2).encode())
        write_new(beside, signed)
        click.echo(f"{path}: the request; 'value' is the digest to be signed, {name}, in base64")
        click.echo(f"{beside}: the bytes to be signed, for signers that take the digest themselves")

    def signed(self, signature: bytes) -> bytes:
        """Return the request with ``signature``, in any form; raises OperatorError if it is not over it."""
        size = self._curve.coordinate_size_bytes
        try:
            request = assemble(self.protected, self.payload, _raw(signature, size))
            check_signature(read_signed_request(request), self.certificate)
        except (MemberError, ValueError) as error:
            raise OperatorError(f"the signature does not serve: {error}") from error
        return request

    @property
    def _curve(self) -> Curve:
        return read_certificate(self.certificate).public_key.curve


def _raw(signature: bytes, size: int) -> bytes:
    """Return ``r || s`` of a signature as it is, in DER, or in JSON as key vaults answer.

    The last is ``{"value": base64url}``. Raises ValueError for anything else.
    """
    if signature.lstrip()[:1] == b"{":
        try:
            encoded = str(orjson.loads(signature)["value"]).rstrip("=")
            signature = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        except (KeyError, binascii.Error) as error:
            raise ValueError(f"no base64url in 'value': {error}") from error
    if len(signature) == 2 * size:
        return signature
    r, s = decode_dss_signature(signature)
    if max(r, s) >= 1 << (8 * size):
        raise ValueError("it is of another curve than the member's key")
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def _preparing(command: Callable[..., MemberMessage]) -> Callable[..., None]:
    """Write what a command asks for, without its signature; it is called with the ``member_id``."""

    @CERTIFICATE
    @_OUT
    @functools.wraps(command)
    def run(*, cert: Path, out: Path, **rest: Any) -> None:
        pem = read_member_certificate(cert)
        Unsigned.of(command(read_certificate(pem).fingerprint, **rest), pem).write(out)

    return run


@click.group()
def prepare() -> None:
    """Write a request for a signer that is elsewhere; 'finish' posts it with the signature."""


@prepare.command()
@click.argument("file", type=FILE, required=False)
@click.option("--action", help="Name of a single action, instead of FILE.")
@click.option("--arg", "args", multiple=True, help="NAME=VALUE: JSON, a text, or @FILE for a file's text.")
@_preparing
def propose(_member: str, file: Path | None, action: str | None, args: tuple[str, ...]) -> MemberMessage:
    """A proposal: what FILE says, or one action."""
    return proposal_of(file, action, args)


@prepare.command()
@click.argument("proposal")
@click.option("--yes/--no", "yes", default=None, help="A plain vote.")
@click.option("--ballot", type=FILE, help="A Starlark text that defines vote(proposal, proposer).")
@_preparing
def vote(member: str, proposal: str, yes: bool | None, ballot: Path | None) -> MemberMessage:
    """A ballot on PROPOSAL."""
    return MemberMessage.ballot(member, proposal, ballot_of(yes, ballot))


@prepare.command()
@click.argument("proposal")
@_preparing
def withdraw(_member: str, proposal: str) -> MemberMessage:
    """The withdrawal of one's own PROPOSAL."""
    return MemberMessage.withdrawal(proposal)


@prepare.command()
@_preparing
def digest(member: str) -> MemberMessage:
    """The first half of an acknowledgement: it asks for the state to acknowledge."""
    return MemberMessage.state_digest(member)


@prepare.command()
@ADMIN
@SERVICE
@click.option("--constitution", type=FILE, help="A file that must be the constitution, to the byte.")
@click.option("--accept", "accepted", help="SHA-256 of the constitution, in hex.")
@_preparing
def ack(
    member: str, admin: str, service_cert: Path, constitution: Path | None, accepted: str | None
) -> MemberMessage:
    """The second half: acknowledge the state asked for by 'digest', its constitution included."""

    async def question(client: GovernanceClient) -> str:
        await check_constitution(client, constitution, accepted)
        return str((await client.read(f"/gov/members/state-digests/{member}"))["stateDigest"])

    found = ask(
        admin, service_context(service_cert), lambda connection: question(GovernanceClient(connection))
    )
    return MemberMessage.acknowledgement(member, found)


@click.command()
@click.argument("request", type=FILE)
@click.option("--signature", type=FILE, required=True, help="Raw (r || s), DER, or JSON with a 'value'.")
@ADMIN
@SERVICE
def finish(request: Path, signature: Path, admin: str, service_cert: Path) -> None:
    """Post the REQUEST that 'prepare' wrote, with its signature; print the service's answer as JSON."""
    unsigned = Unsigned.read(request)
    message = unsigned.signed(read_bytes(signature))

    async def question(client: GovernanceClient) -> Any:
        return await client.post(unsigned.path, message)

    answer = ask(
        admin, service_context(service_cert), lambda connection: question(GovernanceClient(connection))
    )
    click.echo(json.dumps(answer))
