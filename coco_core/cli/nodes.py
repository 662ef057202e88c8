"""``coco nodes`` and ``coco operator``: who takes part in a running network, and who may change that."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import click

from coco_core.base import utc
from coco_core.cli.asking import ADMIN, FILE, SERVICE, ask, service_context
from coco_core.cli.network import OPERATOR_FILE, OPERATOR_KEY_FILE
from coco_core.client import Connection, NodeClient
from coco_core.crypto import Curve, PrivateKey, self_signed
from coco_core.errors import OperatorError
from coco_core.node import utc_now

OPERATOR_VALIDITY_DAYS = 365

_CERTIFICATE = click.option(
    "--operator-cert", type=FILE, required=True, help="PEM of an operator the service was founded with."
)
_KEY = click.option("--operator-key", type=FILE, required=True, help="PEM of the operator's private key.")


@click.group()
def operator() -> None:
    """Identities of those who may change a network's nodes."""


@operator.command()
@click.argument("folder", type=FILE)
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
@ADMIN
@SERVICE
def list_nodes(admin: str, service_cert: Path) -> None:
    """Show every node, its state, the change under way, and whom the asked node refused lately."""
    ask(admin, service_context(service_cert), _show)


@nodes.command()
@ADMIN
@SERVICE
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

    async def question(connection: Connection) -> None:
        client = NodeClient(connection)
        print(f"agreed at {await client.change_members(add, remove)}; made once who comes has caught up")

    ask(admin, service_context(service_cert, operator_cert, operator_key), question)


@nodes.command()
@ADMIN
@SERVICE
@_CERTIFICATE
@_KEY
def cancel(admin: str, service_cert: Path, operator_cert: Path, operator_key: Path) -> None:
    """Take the change of members under way back."""

    async def question(connection: Connection) -> None:
        print(f"taken back at {await NodeClient(connection).cancel_change()}")

    ask(admin, service_context(service_cert, operator_cert, operator_key), question)


async def _show(connection: Connection) -> None:
    client = NodeClient(connection)
    network, refusals = await client.network(), await client.refusals()
    under_way: dict[str, Any] = network["change"] or {"add": [], "remove": [], "waits_for": []}
    for name, one in sorted(network["nodes"].items(), key=lambda item: item[1]["peer_address"]):
        state = one["status"]
        if state == "Retired" and one["lease_until_ms"] is not None:
            state += ", lease ran out"
        if name == network["primary"]:
            state += ", primary"
        if name in under_way["add"]:
            state += ", learning"
        if name in under_way["remove"]:
            state += ", to be removed"
        if name in (under_way["waits_for"] or ()):
            state += ", waited for"
        print(f"{name}  {one['peer_address']:<24} {state}")
    dead = [name for name in under_way["waits_for"] or () if name in under_way["add"]]
    if dead:
        print(f"the change under way waits for {', '.join(dead)}: should it never come, have it removed,")
        print("by a vote (remove_node) or, where operators decide, with 'coco nodes cancel'")
    if refusals:
        print("refused by this node lately:")
    for one in refusals:
        at = utc(one["at_ms"]).isoformat("T", "seconds")
        who = f"{one['node_id'] or 'no node'}  {one['peer_address']:<24}"
        print(f"{who} {at} {one['code']}: {one['message']}")
