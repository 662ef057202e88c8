"""``coco up``: a network to develop against, until Ctrl-C."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import click
import trio

from coco_core.adapter import DevelopmentLedger
from coco_core.cli.network import (
    OPERATOR_FILE,
    OPERATOR_KEY_FILE,
    SERVICE_FILE,
    LedgerSpec,
    LocalNetwork,
    NetworkSpec,
    cancel_on_signal,
    open_network,
    prepare_folder,
)
from coco_core.cli.nodes import make_operator
from coco_core.errors import OperatorError
from coco_core.node import load, load_policy
from coco_core.node.json_file import read_json_object
from coco_core.node.platform_settings import VIRTUAL, read_platform
from coco_core.node.plugins import load_platform


@click.command()
@click.option("--nodes", default=3, show_default=True, type=click.IntRange(1, 9))
@click.option(
    "--ledger",
    "ledgers",
    default=("ethereum",),
    show_default=True,
    multiple=True,
    help="Name of an installed adapter; several ledgers share one network and one order.",
)
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Keep ledgers and logs here.")
@click.option("--engine", default="", help="The first ledger's execution engine; see 'coco adapters list'.")
@click.option(
    "--genesis", type=click.Path(path_type=Path), help="Genesis of the first ledger, in its own format."
)
@click.option(
    "--rpc-port",
    default=8545,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="First node's front end; 0 = any free ones.",
)
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    help="What the nodes run on, by its name or in a JSON file as a node's settings say it; virtual unless "
    "given. Once for all of them, or once for each.",
)
@click.option(
    "--policy",
    type=click.Path(path_type=Path),
    help="Which evidence is accepted; needed for every platform but the virtual one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object when the network is open.")
def up(
    nodes: int,
    ledgers: tuple[str, ...],
    folder: Path | None,
    engine: str,
    genesis: Path | None,
    rpc_port: int,
    platforms: tuple[str, ...],
    policy: Path | None,
    as_json: bool,
) -> None:
    """Run a network on this machine until Ctrl-C.

    A ledger front end listens on loopback only, speaks HTTP and HTTPS on the same port, and needs no
    authentication: this is for development. Without --dir nothing is left behind. All nodes are on this
    machine: --platform is for trying its TEE, or simulated ones.
    """
    if rpc_port + nodes - 1 > 65535:
        raise click.BadParameter(
            f"{nodes} ports from {rpc_port} on go beyond 65535", param_hint="'--rpc-port'"
        )
    if len(set(ledgers)) < len(ledgers):
        raise click.BadParameter("a ledger is named twice", param_hint="'--ledger'")
    if len(platforms) not in (0, 1, nodes):
        raise click.BadParameter(
            f"{len(platforms)} are named for {nodes} nodes: name one for all, or one for each",
            param_hint="'--platform'",
        )
    run_on = [_platform(one) for one in platforms]
    if policy is not None:
        load_policy(policy)
    elif any(name != VIRTUAL for name, _ in run_on):
        raise click.UsageError("--platform needs --policy: which code and roots are accepted")
    developments = {}
    for number, name in enumerate(ledgers):
        plugin = load(name)
        # What is missing is reported here, before anything is started.
        plugin.create("" if number else engine, {})
        developments[name] = plugin.development()
    first = ledgers[0]
    if genesis:
        developments[first] = attrs.evolve(
            developments[first], config=read_json_object(genesis, "genesis"), notes=(), details={}
        )
    with tempfile.TemporaryDirectory(prefix="coco-up-") as temporary:
        target = folder if folder is not None else Path(temporary, "network")
        prepare_folder(target)
        spec = NetworkSpec(
            folder=target.resolve(),
            nodes=nodes,
            ledger=first,
            engine=engine,
            config=developments[first].config,
            beside={name: LedgerSpec(config=developments[name].config) for name in ledgers[1:]},
            rpc_port=rpc_port,
            operators=[make_operator(target.resolve())[0]],
            node_settings={name: one.node_settings for name, one in developments.items()},
            platforms=[said for _, said in run_on] * (nodes if len(run_on) == 1 else 1),
            policy=policy.resolve() if policy is not None else None,
        )
        names = list(dict.fromkeys(name for name, _ in run_on)) or [VIRTUAL]
        trio.run(_up, spec, developments, names, as_json)


def _platform(said: str) -> tuple[str, str]:
    """Return a platform's name, and what settings say of it; raises OperatorError if it cannot be used."""
    faults: list[str] = []
    found = read_platform({"platform": said}, Path.cwd(), faults)
    if faults:
        raise OperatorError("; ".join(faults))
    load_platform(found)
    return found.name, said if said == found.name else str(Path(said).resolve())


async def _up(
    spec: NetworkSpec, developments: Mapping[str, DevelopmentLedger], platforms: Sequence[str], as_json: bool
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cancel_on_signal, nursery.cancel_scope)
        async with open_network(spec) as network:
            if as_json:
                print(json.dumps({**_fields(network, developments), "platforms": platforms}), flush=True)
            else:
                _print(network, developments, platforms)
            async with trio.open_nursery() as watching:
                for node in network.nodes:
                    watching.start_soon(_report_end, network, node.index)


async def _report_end(network: LocalNetwork, index: int) -> None:
    node = network.nodes[index]
    await node.ended.wait()
    left = sum(1 for other in network.nodes if not other.ended.is_set())
    click.echo(f"node {index} ended: {node.last_words()} ({left} left)", err=True)
    if not left:
        raise OperatorError("every node has ended")


def _fields(network: LocalNetwork, developments: Mapping[str, DevelopmentLedger]) -> Mapping[str, Any]:
    spec = network.spec
    return {
        "ledger": spec.ledger,
        "ledgers": list(spec.ledgers),
        "service_certificate": network.service_certificate,
        "service_certificate_file": str(spec.folder / SERVICE_FILE),
        "nodes": [
            {
                "node_id": node.info["node_id"],
                "rpc": f"http://{node.info['rpc'][spec.ledger]}",
                "rpc_tls": f"https://{node.info['rpc'][spec.ledger]}",
                "front_ends": dict(node.info["rpc"]),
                "admin": f"https://{node.info['admin']}",
                "pid": node.pid,
                "ledger": str(node.ledger_folder),
                "settings": {name: dict(of_node(node.index)) for name, of_node in spec.node_settings.items()},
            }
            for node in network.nodes
        ],
        "operator_certificate_file": str(spec.folder / OPERATOR_FILE),
        "operator_key_file": str(spec.folder / OPERATOR_KEY_FILE),
        "development": dict(developments[spec.ledger].details),
        "developments": {name: dict(one.details) for name, one in developments.items()},
    }


def _print(
    network: LocalNetwork, developments: Mapping[str, DevelopmentLedger], platforms: Sequence[str]
) -> None:
    spec = network.spec
    named = ["virtual (INSECURE, for development only)" if name == VIRTUAL else name for name in platforms]
    click.echo(f"{spec.nodes} nodes run {', '.join(spec.ledgers)}; TEE platform: {', '.join(named)}")
    for node in network.nodes:
        for name, address in node.info["rpc"].items():
            called = f"{name}: " if spec.beside else ""
            click.echo(f"  node {node.index}: {called}http://{address}  https://{address}")
        for of_node in spec.node_settings.values():
            for setting, value in of_node(node.index).items():
                click.echo(f"  node {node.index}: {setting} {value}")
        click.echo(f"  node {node.index}: operators https://{node.info['admin']}")
    click.echo(f"service certificate: {spec.folder / SERVICE_FILE}")
    click.echo(f"operator (may change the nodes): {spec.folder / OPERATOR_FILE}, {OPERATOR_KEY_FILE}")
    click.echo(f"ledgers: {spec.folder}/node-*/ledger")
    for development in developments.values():
        for line in development.notes:
            click.echo(line)
    click.echo("Ctrl-C stops the network.")
