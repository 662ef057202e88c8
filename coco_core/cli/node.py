"""``coco node``: run one node in this process, from a settings file; see what runs on another one."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import click
import trio

from coco_core.attestation import known_verifiers
from coco_core.cli.asking import FILE, now_s, read_bytes
from coco_core.cli.judging import measurements, pairs
from coco_core.cli.keeping import Keeper, Plan
from coco_core.cli.live_evidence import fetch_evidence
from coco_core.cli.logs import configure_log
from coco_core.cli.network import cancel_on_signal, until_interrupted
from coco_core.errors import OperatorError
from coco_core.governance import admit, policy_of
from coco_core.node import NodeSettings, load_policy, load_settings, run_node

_LOG_LEVELS: Final = click.Choice(["debug", "info", "warning", "error"])
_ORDERS_MAX: Final = 16
_ORDER_SIZE_MAX_BYTES: Final = 4096


@click.group()
def node() -> None:
    """Run a single node, and judge what others run."""


@node.command()
@click.argument("settings", type=click.Path(path_type=Path))
@click.option("--with-parent", is_flag=True, help="Stop when standard input closes (the parent is gone).")
@click.option("--supervised", is_flag=True, help="The same, and take orders there, as 'keep' gives them.")
@click.option("--folder", type=click.Path(path_type=Path), help="Keep the ledger here instead.")
@click.option("--log-level", default="info", type=_LOG_LEVELS)
def run(settings: Path, with_parent: bool, supervised: bool, folder: Path | None, log_level: str) -> None:
    """Run the node described by the file SETTINGS until SIGTERM or Ctrl-C, or until it is removed.

    Events (waiting, listening, role, open, lease, retired) go to standard output as JSON lines, the log to
    standard error.
    """
    configure_log(log_level)
    chosen = load_settings(settings)
    if folder is not None:
        chosen = attrs.evolve(chosen, folder=folder)
    trio.run(_run, chosen, with_parent, supervised)


@node.command()
@click.argument("settings", type=click.Path(path_type=Path))
@click.option("--log-level", default="info", type=_LOG_LEVELS)
def keep(settings: Path, log_level: str) -> None:
    """Run the node described by the file SETTINGS, and have a fresh one take its place before its lease ends.

    Where the consortium's lease policy is 'vouched'. Every generation has a folder 'generation-N' in the
    node's folder, with its log; those of a node that was replaced are removed once its successor was, too,
    and has all they hold. 'alternate' in SETTINGS names 'admin', 'peer' and 'rpc' of every second
    generation; without it their ports are all 0.

    Events go to standard output as JSON lines: those of the nodes with their 'generation', and renewing,
    renewed, not_renewed (with a reason) and ended. SIGTERM or Ctrl-C stops the node in order. If it ends by
    itself, so does this, with its exit status.
    """
    keeper = Keeper(Plan.load(settings), _announce, options=("--log-level", log_level))
    status = trio.run(until_interrupted, keeper.keep)
    if status:
        raise click.exceptions.Exit(status)


@node.command()
@click.argument("address")
@measurements(required=False)
@click.option("--policy", type=FILE, help="Which evidence is accepted, as for who founds or joins.")
@click.option("--collateral", type=FILE, help="What the vendor publishes, instead of what the node has.")
@click.option("--service-cert", type=FILE, help="PEM of the service it must be of.")
def evidence(
    address: str,
    accepted: tuple[str, ...],
    policy: Path | None,
    collateral: Path | None,
    service_cert: Path | None,
) -> None:
    """Judge the evidence of the node at ADDRESS, host:port of any of its interfaces.

    Whoever answers there holds the key that the evidence is bound to. What it is judged by comes from the
    node's interface for operators; by another one only the virtual platform can be judged without
    --collateral.
    """
    if bool(accepted) == (policy is not None):
        raise OperatorError("say which evidence is accepted: --policy FILE, or --measurement PLATFORM:HEX")
    by = load_policy(policy) if policy is not None else policy_of(pairs(accepted))
    found = fetch_evidence(address, service_cert)
    shown = found.evidence
    if collateral is not None:
        shown = attrs.evolve(shown, endorsements=read_bytes(collateral))
    verdict = admit(shown, found.report_data, known_verifiers(), by, now_s())
    print(f"node         {found.certificate.public_key.node_id()}")
    print(f"platform     {verdict.format}{'' if verdict.secure else ' (protects nothing)'}")
    print(f"measurement  {verdict.measurement}")


async def _run(settings: NodeSettings, with_parent: bool, supervised: bool) -> None:
    send, orders = trio.open_memory_channel[str](_ORDERS_MAX)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cancel_on_signal, nursery.cancel_scope)
        if with_parent or supervised:
            nursery.start_soon(_read_orders, nursery.cancel_scope, send)
        await run_node(settings, _announce, orders if supervised else None)
        nursery.cancel_scope.cancel()  # The node was removed from its service.


def _announce(event: Mapping[str, Any]) -> None:
    print(json.dumps(event), flush=True)


async def _read_orders(scope: trio.CancelScope, orders: trio.MemorySendChannel[str]) -> None:
    """Hand lines of standard input on, those nobody waits for dropped; cancel ``scope`` when it closes."""
    rest = b""
    while data := await trio.to_thread.run_sync(_read_input, abandon_on_cancel=True):
        *lines, rest = (rest + data).split(b"\n")
        rest = rest[-_ORDER_SIZE_MAX_BYTES:]
        for line in lines:
            with contextlib.suppress(trio.WouldBlock, trio.BrokenResourceError):
                orders.send_nowait(line.decode(errors="replace"))
    scope.cancel()


def _read_input() -> bytes:
    # Not through sys.stdin: its lock, held by this thread for ever, would break a clean exit.
    return os.read(0, _ORDER_SIZE_MAX_BYTES)
