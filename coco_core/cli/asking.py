"""How commands reach a running node: options, TLS that believes one service only, one connection."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

import click
import trio

from coco_core.base import split_address
from coco_core.client import Connection, pinned_context
from coco_core.errors import OperatorError
from coco_core.node import utc_now
from coco_core.node.tls import NO_CHECK_TIME

Result = TypeVar("Result")

FILE = click.Path(path_type=Path)
ADMIN = click.option("--admin", required=True, help="Operators' interface of any node, host:port.")
_EXPIRED: Final = "coco.expired"


def _note_expired(context: click.Context, _option: click.Parameter, value: bool) -> None:
    context.meta[_EXPIRED] = value


def SERVICE(command: Callable[..., Result]) -> Callable[..., Result]:  # noqa: N802 - used as the options are
    """Give a command ``--service-cert``, and ``--expired``, which ``service_context`` follows."""
    expired = click.option(
        "--expired",
        is_flag=True,
        expose_value=False,
        callback=_note_expired,
        help="Believe certificates that ran out, too: to renew them.",
    )
    service = click.option("--service-cert", type=FILE, required=True, help="PEM of the service.")
    return service(expired(command))


def service_context(
    service: Path, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """Return a context that believes the service, and presents a certificate if one is given."""
    try:
        context = pinned_context(service.read_text())
    except (OSError, ValueError, ssl.SSLError) as error:
        raise OperatorError(f"{service}: {error}") from error
    command = click.get_current_context(silent=True)
    if command is not None and command.meta.get(_EXPIRED):
        context.verify_flags = ssl.VerifyFlags(context.verify_flags | NO_CHECK_TIME)
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            raise OperatorError(f"{certificate} and {key}: {error}") from error
    return context


def ask(admin: str, tls: ssl.SSLContext, question: Callable[[Connection], Awaitable[Result]]) -> Result:
    """Return what ``question`` made of a connection to the node at ``admin``."""
    try:
        split_address(admin)
    except ValueError as error:
        raise OperatorError(f"--admin: {error}") from error

    async def run() -> Result:
        async with await Connection.open(admin, tls) as connection:
            return await question(connection)

    return trio.run(run)


def now_s() -> int:
    """Return Unix time in seconds: when a request is made."""
    return int(utc_now().timestamp())


def read_text(path: Path) -> str:
    """Return what is in a file; raises OperatorError naming it."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"{path}: {error}") from error


def read_bytes(path: Path) -> bytes:
    """Return what is in a file; raises OperatorError naming it."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise OperatorError(f"cannot read {path}: {error.strerror}") from error


def write_new(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file that is not there yet; raises OperatorError naming it."""
    try:
        path.touch(mode=mode, exist_ok=False)
        path.write_bytes(data)
    except OSError as error:
        raise OperatorError(f"cannot write {path}: {error.strerror}") from error
