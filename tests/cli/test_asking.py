"""Options of commands that reach a node: a service whose certificate ran out is believed when asked for."""

from __future__ import annotations

import contextlib
import datetime
import ssl
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from coco_core.cli.asking import SERVICE, service_context
from coco_core.crypto import Curve, PrivateKey, endorse, self_signed
from coco_core.node import utc_now
from coco_core.node.tls import frontend_context

DAY = datetime.timedelta(days=1)


@click.command()
@SERVICE
def reach(service_cert: Path) -> None:
    """Reach a node that the service of ``key.pem`` endorsed, for a time that is over."""
    issuer, key = (service_cert.with_name(name).read_text() for name in ("issuer.pem", "key.pem"))
    node, old = PrivateKey.generate(Curve.P256), utc_now() - 3 * DAY
    shown = endorse(
        node.public,
        "Node",
        PrivateKey.from_pem(key),
        issuer,
        not_before=old,
        not_after=old + DAY,
        sans=["localhost"],
    )
    there, here = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = frontend_context(shown, node).wrap_bio(there, here, server_side=True)
    client = service_context(service_cert).wrap_bio(here, there, server_hostname="localhost")
    for end in (client, server, client):
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()


def issued(folder: Path) -> str:
    """Make a service whose certificate ran out."""
    key, old = PrivateKey.generate(Curve.P384), utc_now() - 3 * DAY
    pem = self_signed(key, "Service", not_before=old, not_after=old + DAY, ca=True)
    (folder / "key.pem").write_text(key.to_pem())
    (folder / "issuer.pem").write_text(pem)
    return pem


@pytest.fixture
def service_file(tmp_path: Path) -> Path:
    (tmp_path / "service.pem").write_text(issued(tmp_path))
    return tmp_path / "service.pem"


def test_what_ran_out_is_refused(service_file: Path) -> None:
    ran = CliRunner().invoke(reach, ["--service-cert", str(service_file)])
    assert isinstance(ran.exception, ssl.SSLCertVerificationError)
    assert "expired" in str(ran.exception)


def test_what_ran_out_is_believed_when_asked_for(service_file: Path) -> None:
    ran = CliRunner().invoke(reach, ["--service-cert", str(service_file), "--expired"])
    assert ran.exception is None


def test_another_service_never_is(service_file: Path) -> None:
    issued(service_file.parent)
    ran = CliRunner().invoke(reach, ["--service-cert", str(service_file), "--expired"])
    assert isinstance(ran.exception, ssl.SSLCertVerificationError)
