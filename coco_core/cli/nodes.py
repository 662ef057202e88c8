"""``coco nodes`` and ``coco operator``: who takes part in a running network, and who may change that."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click
import trio

from coco_core.base import split_address
from coco_core.cli.network import OPERATOR_FILE, OPERATOR_KEY_FILE
from coco_core.client import Connection, NodeClient, pinned_context
from coco_core.crypto import Curve, PrivateKey, self_signed
from coco_core.errors import OperatorError
from coco_core.node import utc_now

OPERATOR_VALIDITY_DAYS = 365

_FILE = click.Path(path_type=Path)
_ADMIN = click.option("--admin", required=True, help="Operators' interface of any node, host:port.")
_SERVICE = click.option("--service-cert", type=_FILE, required=True, help="PEM of the service.")
_CERTIFICATE = click.option(
    "--operator-cert", type=_FILE, required=True, help="PEM of an operator the service was founded with."
)
_KEY = click.option("--operator-key", type=_FILE, required=True, help="PEM of the operator's private key.")


@click.group()
def operator() -> None:
    """Identities of those who may change a network's nodes."""


@operator.command()
@click.argument("folder", type=_FILE)
def keygen(folder: Path) -> None:
    """Make an operator's key and certificate in FOLDER.

    The certificate goes into 'found.operators' of the founding node's settings.
    """
    certificate, key = make_operator(folder)
    print(f"certificate {certificate}\nprivate key {key}")


def make_operator(folder: Path) -> tuple[Path, Path]:
    """Make key and certificate of an operator; return both files. Raises OperatorError if there are any."""
    certificate, key_file = folder / OPERATOR_FILE, folder / OPERATOR_KEY_FILE
    key = PrivateKey.generate(Curve.P256)
    now = utc_now().replace(microsecond=0)
    pem = self_signed(
        key,
        "Coco Operator",
        not_before=now - datetime.timedelta(hours=1),
        not_after=now + datetime.timedelta(days=OPERATOR_VALIDITY_DAYS),
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        key_file.touch(mode=0o600, exist_ok=False)
        key_file.write_text(key.to_pem())
        certificate.write_text(pem)
    except OSError as error:
        raise OperatorError(f"cannot write {error.filename or folder}: {error.strerror}") from error
    return certificate, key_file


@click.group()
def nodes() -> None:
    """Look at a network's nodes, and change who takes part."""


@nodes.command(name="list")
@_ADMIN
@_SERVICE
def list_nodes(admin: str, service_cert: Path) -> None:
    """Show every node, its state, and the change of members under way."""
    _ask(admin, _context(service_cert), _show)


@nodes.command()
@_ADMIN
@_SERVICE
@_CERTIFICATE
@_KEY
@click.option("--add", multiple=True, help="ID of a node that asked to join; may be given again.")
@click.option("--remove", multiple=True, help="ID of a node to be removed; may be given again.")
def change(
    admin: str,
    service_cert: Path,
    operator_cert: Path,
    operator_key: Path,
    add: tuple[str, ...],
    remove: tuple[str, ...],
) -> None:
    """Let nodes come and go, all in one change.

    Whoever comes learns the ledger first; the change is made when all of them have caught up. A node
    that is removed ends by itself once nobody needs it.
    """

    async def ask(client: NodeClient) -> None:
        print(f"agreed at {await client.change_members(add, remove)}; made once who comes has caught up")

    _ask(admin, _context(service_cert, operator_cert, operator_key), ask)


@nodes.command()
@_ADMIN
@_SERVICE
@_CERTIFICATE
@_KEY
def cancel(admin: str, service_cert: Path, operator_cert: Path, operator_key: Path) -> None:
    """Take the change of members under way back."""

    async def ask(client: NodeClient) -> None:
        print(f"taken back at {await client.cancel_change()}")

    _ask(admin, _context(service_cert, operator_cert, operator_key), ask)


async def _show(client: NodeClient) -> None:
    network = await client.network()
    under_way: dict[str, Any] = network["change"] or {"add": [], "remove": [], "waits_for": []}
    for name, one in sorted(network["nodes"].items(), key=lambda item: item[1]["peer_address"]):
        state = one["status"]
        if name == network["primary"]:
            state += ", primary"
        if name in under_way["add"]:
            state += ", learning"
        if name in under_way["remove"]:
            state += ", to be removed"
        if name in (under_way["waits_for"] or ()):
            state += ", waited for"
        print(f"{name}  {one['peer_address']:<24} {state}")


def _context(service: Path, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """Return a context that believes the service, and presents the operator if one is given."""
    try:
        context = pinned_context(service.read_text())
    except (OSError, ValueError, ssl.SSLError) as error:
        raise OperatorError(f"{service}: {error}") from error
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            raise OperatorError(f"{certificate} and {key}: {error}") from error
    return context


def _ask(admin: str, tls: ssl.SSLContext, question: Callable[[NodeClient], Awaitable[None]]) -> None:
    try:
        split_address(admin)
    except ValueError as error:
        raise OperatorError(f"--admin: {error}") from error

    async def ask() -> None:
        async with await Connection.open(admin, tls) as connection:
            await question(NodeClient(connection))

    trio.run(ask)
