"""``coco node``: run one node in this process, from a settings file; see what runs on another one."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import structlog
import trio

from coco_core.base import split_address
from coco_core.cli.asking import service_context
from coco_core.cli.judging import judge, measurements
from coco_core.client import fetch_certificate
from coco_core.errors import OperatorError
from coco_core.node import load_settings, run_node


@click.group()
def node() -> None:
    """Run a single node, and judge what others run."""


@node.command()
@click.argument("settings", type=click.Path(path_type=Path))
@click.option("--with-parent", is_flag=True, help="Stop when standard input closes (the parent is gone).")
@click.option("--log-level", default="info", type=click.Choice(["debug", "info", "warning", "error"]))
def run(settings: Path, with_parent: bool, log_level: str) -> None:
    """Run the node described by the file SETTINGS until SIGTERM or Ctrl-C, or until it is removed.

    Events (waiting, listening, role, open, retired) go to standard output as JSON lines, the log to standard
    error.
    """
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[log_level.upper()]
        ),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    trio.run(_run, settings, with_parent)


@node.command()
@click.argument("address")
@measurements(required=True)
@click.option("--service-cert", type=click.Path(path_type=Path), help="PEM of the service it must be of.")
def evidence(address: str, accepted: tuple[str, ...], service_cert: Path | None) -> None:
    """Judge the evidence in the certificate of the node at ADDRESS, host:port of any of its interfaces.

    Whoever answers there holds the key that the evidence is bound to.
    """
    tls = service_context(service_cert) if service_cert is not None else None
    try:
        split_address(address)
    except ValueError as error:
        raise OperatorError(f"{address[:80]}: {error}") from error
    certificate = trio.run(fetch_certificate, address, tls)
    verdict = judge(certificate, accepted)
    print(f"node         {certificate.public_key.node_id()}")
    print(f"platform     {verdict.format}{'' if verdict.secure else ' (protects nothing)'}")
    print(f"measurement  {verdict.measurement}")


async def _run(path: Path, with_parent: bool) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_cancel_on_signal, nursery.cancel_scope)
        if with_parent:
            nursery.start_soon(_cancel_on_end_of_input, nursery.cancel_scope)
        await run_node(load_settings(path), _announce)
        nursery.cancel_scope.cancel()  # The node was removed from its service.


def _announce(event: Mapping[str, Any]) -> None:
    print(json.dumps(event), flush=True)


async def _cancel_on_signal(scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()
            return


async def _cancel_on_end_of_input(scope: trio.CancelScope) -> None:
    await trio.to_thread.run_sync(_read_to_end, abandon_on_cancel=True)
    scope.cancel()


def _read_to_end() -> None:
    # Not through sys.stdin: its lock, held by this thread for ever, would break a clean exit.
    while os.read(0, 4096):
        pass
