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
@click.option(
    "--endorsements",
    type=click.Path(path_type=Path),
    help="PEMs of the identities the service had before, oldest first: for a receipt from before a recovery.",
)
def verify(file: Path, service_cert: Path, endorsements: Path | None) -> None:
    """Verify the receipt in FILE (JSON or COSE); exit 1 if it proves nothing under this service.

    A receipt given out before the service was recovered proves itself under the old certificate; under the
    new one it does with --endorsements, what GET /gov/service/info calls so.
    """
    try:
        data, certificate = file.read_bytes(), service_cert.read_text()
        chain = [] if endorsements is None else split_pem(endorsements.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(str(error)) from error
    try:
        read_certificate(certificate)
    except AttestationError as error:
        raise OperatorError(f"{service_cert}: {error}") from error
    try:
        verified = verify_receipt(data, certificate, chain)
    except AttestationError as error:
        # The certificate is fine, so what is not acceptable is what the receipt says.
        raise IntegrityError(str(error)) from error
    print(
        f"valid: transaction {verified.txid} is committed under this service ({verified.kind.value} receipt)"
    )
    if verified.recoveries:
        print(f"signed under an earlier identity; the service was recovered since ({verified.recoveries})")
    print(f"claims digest: {verified.claims.hex()}")


def split_pem(text: str) -> list[str]:
    """Return the certificates in a text, one after the other."""
    end = "-----END CERTIFICATE-----"
    return [f"{part.lstrip()}{end}\n" for part in text.split(end)[:-1]]
