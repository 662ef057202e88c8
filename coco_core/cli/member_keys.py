"""A member's files: what ``coco member keygen`` writes, and how the other commands read it."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import click

from coco_core.cli.asking import FILE, read_text, write_new
from coco_core.client import Signer
from coco_core.crypto import Curve, PrivateKey, make_encryption_key, read_certificate, renewed, self_signed
from coco_core.errors import AttestationError, OperatorError
from coco_core.node import utc_now

Result = TypeVar("Result")

MEMBER_VALIDITY_DAYS: Final = 365
CERT_FILE, KEY_FILE = "member_cert.pem", "member_key.pem"
ENC_PUB_FILE, ENC_KEY_FILE = "member_enc_pub.pem", "member_enc_key.pem"

CERTIFICATE = click.option("--cert", type=FILE, required=True, help="PEM of the member's certificate.")
KEY = click.option("--key", type=FILE, required=True, help="PEM of the member's private key.")


@attrs.frozen
class MemberFiles:
    """Where a member's keys are."""

    folder: Path

    @property
    def certificate(self) -> Path:
        """Its name and how others check what it signs."""
        return self.folder / CERT_FILE

    @property
    def key(self) -> Path:
        """What it signs with."""
        return self.folder / KEY_FILE

    @property
    def encryption_public(self) -> Path:
        """What its recovery share is encrypted to."""
        return self.folder / ENC_PUB_FILE

    @property
    def encryption_key(self) -> Path:
        """What opens its recovery share."""
        return self.folder / ENC_KEY_FILE

    @property
    def all(self) -> tuple[Path, ...]:
        """Every file."""
        return (self.certificate, self.key, self.encryption_public, self.encryption_key)


def make_member(folder: Path, name: str, curve: Curve = Curve.P384) -> MemberFiles:
    """Make keys, the one that signs on ``curve``, and a certificate in ``folder``.

    Raises OperatorError if one of the files is there.
    """
    files = MemberFiles(folder)
    key = PrivateKey.generate(curve)
    now = utc_now().replace(microsecond=0)
    certificate = self_signed(
        key,
        name,
        not_before=now - datetime.timedelta(hours=1),
        not_after=now + datetime.timedelta(days=MEMBER_VALIDITY_DAYS),
    )
    encryption_key, encryption_public = make_encryption_key()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError(f"folder {folder}: {error.strerror}") from error
    for path in files.all:
        if path.exists():
            raise OperatorError(f"{path} is there already: whoever overwrites a key loses what it opens")
    write_new(files.key, key.to_pem().encode(), mode=0o600)
    write_new(files.encryption_key, encryption_key.encode(), mode=0o600)
    write_new(files.certificate, certificate.encode())
    write_new(files.encryption_public, encryption_public.encode())
    return files


def recertified(certificate: Path, key: Path, days: int) -> str:
    """Return a certificate like that of a member, valid from an hour ago for ``days``, signed by its ``key``.

    Raises OperatorError when the files do not fit each other, or another one signed the certificate.
    """
    signer = read_signer(certificate, key)
    now = utc_now().replace(microsecond=0)
    start, end = now - datetime.timedelta(hours=1), now + datetime.timedelta(days=days)
    try:
        return renewed(read_certificate(signer.certificate), signer.key, not_before=start, not_after=end)
    except AttestationError as error:
        raise OperatorError(f"{certificate}: {error}") from error


def read_signer(certificate: Path, key: Path) -> Signer:
    """Return the member whose files these are; raises OperatorError when they do not fit each other."""
    pem = read_member_certificate(certificate)
    try:
        private = PrivateKey.from_pem(read_text(key))
    except AttestationError as error:
        raise OperatorError(f"{key}: {error}") from error
    if read_certificate(pem).public_key != private.public:
        raise OperatorError(f"{certificate} is not the certificate of {key}")
    return Signer(certificate=pem, key=private)


def read_member_certificate(path: Path) -> str:
    """Return the certificate in a file as PEM; raises OperatorError naming the file."""
    try:
        return read_certificate(read_text(path)).pem
    except AttestationError as error:
        raise OperatorError(f"{path}: {error}") from error


def signing(command: Callable[..., Result]) -> Callable[..., Result]:
    """Give a command ``--cert`` and ``--key``, and call it with the ``signer`` they make."""

    @CERTIFICATE
    @KEY
    @functools.wraps(command)
    def run(*, cert: Path, key: Path, **rest: Any) -> Result:
        return command(signer=read_signer(cert, key), **rest)

    return run
