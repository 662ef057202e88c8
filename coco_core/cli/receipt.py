"""``coco receipt``: check a receipt offline, trusting nothing but the service certificate."""

from __future__ import annotations

from pathlib import Path

import click

from coco_core.client import verify_receipt
from coco_core.crypto import read_certificate
from coco_core.errors import AttestationError, IntegrityError, OperatorError


@click.group()
def receipt() -> None:
    """Verify receipts."""


@receipt.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--service-cert", type=click.Path(path_type=Path), required=True, help="PEM of the service.")
def verify(file: Path, service_cert: Path) -> None:
    """Verify the receipt in FILE (JSON or COSE); exit 1 if it proves nothing under this service."""
    try:
        data, certificate = file.read_bytes(), service_cert.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(str(error)) from error
    try:
        read_certificate(certificate)
    except AttestationError as error:
        raise OperatorError(f"{service_cert}: {error}") from error
    try:
        verified = verify_receipt(data, certificate)
    except AttestationError as error:
        # The certificate is fine, so what is not acceptable is what the receipt says.
        raise IntegrityError(str(error)) from error
    print(
        f"valid: transaction {verified.txid} is committed under this service ({verified.kind.value} receipt)"
    )
    print(f"claims digest: {verified.claims.hex()}")
