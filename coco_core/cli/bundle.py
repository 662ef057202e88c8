"""``coco bundle``: transactions for several ledgers that are committed together or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import click

from coco_core.cli.asking import SERVICE, ask, read_bytes, read_text, service_context, write_new
from coco_core.client import (
    BundleClient,
    BundlePart,
    CommittedBundle,
    Connection,
    NodeClient,
    read_committed_bundle,
    verify_bundle,
)
from coco_core.errors import IntegrityError, OperatorError


@click.group()
def bundle() -> None:
    """Submit transactions for several ledgers as one, and verify that they are committed."""


@bundle.command()
@click.argument("transactions", nargs=-1, required=True, metavar="LEDGER=FILE...")
@click.option("--node", required=True, help="host:port of a node's front end for bundles.")
@click.option("--admin", required=True, help="host:port of the same node's operators' interface.")
@SERVICE
@click.option("--out", type=click.Path(path_type=Path), help="Write the bundle and its receipt to this file.")
def submit(
    transactions: tuple[str, ...], node: str, admin: str, service_cert: Path, out: Path | None
) -> None:
    """Submit TRANSACTIONS in order: each the name of a ledger and a file with what is sent to it.

    A file holds the transaction's bytes, or those in hexadecimal after 0x. Nothing is written by any ledger
    when one of them refuses. The receipt is checked before anything is said.
    """
    parts = [_part(one) for one in transactions]
    if out is not None and out.exists():
        # Said before anything is sent: afterwards the receipt of what is committed would be lost.
        raise OperatorError(f"cannot write {out}: it is there already")
    tls = service_context(service_cert)
    committed = ask(node, tls, lambda connection: BundleClient(connection).submit(parts))

    async def fetch(connection: Connection) -> bytes:
        return await NodeClient(connection).receipt(str(committed.txid))

    receipt = ask(admin, tls, fetch)
    verify_bundle(committed, receipt, read_text(service_cert))
    if out is not None:
        kept = {**committed.to_json(), "receipt": json.loads(receipt)}
        write_new(out, json.dumps(kept, indent=2).encode())
    _tell(committed)


@bundle.command()
@click.argument("file", type=click.Path(path_type=Path))
@SERVICE
def verify(file: Path, service_cert: Path) -> None:
    """Verify a bundle that ``coco bundle submit --out`` wrote, offline; exit 1 if it proves nothing."""
    try:
        value = json.loads(read_bytes(file))
        receipt = json.dumps(value["receipt"]).encode()
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{file} is not a bundle with its receipt: {error!r}") from error
    committed = read_committed_bundle(value)
    verify_bundle(committed, receipt, read_text(service_cert))
    _tell(committed)


def _part(text: str) -> BundlePart:
    ledger, equals, name = text.partition("=")
    if not equals or not ledger or not name:
        raise OperatorError(f"{text!r} is not LEDGER=FILE")
    data = read_bytes(Path(name))
    if data.startswith(b"0x"):
        try:
            data = bytes.fromhex(data[2:].decode())
        except ValueError as error:
            raise OperatorError(f"{name} begins with 0x and is not hexadecimal: {error}") from error
    return BundlePart(ledger, data)


def _tell(committed: CommittedBundle) -> None:
    click.echo(f"valid: bundle {committed.txid} is committed under this service, with all of")
    for one, txid in zip(committed.receipt.transactions, committed.transaction_ids, strict=True):
        click.echo(f"  {one.ledger} transaction {txid}, claims digest {one.claims.hex()}")
