"""Running a workload against a fresh network and collecting what a benchmark reports."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import psutil

from coco_core.adapter import LedgerAdapter, Workload
from coco_core.cli.network import LocalNetwork, NetworkSpec, open_network
from coco_core.client import (
    Connection,
    LoadResult,
    LoadSettings,
    NodeClient,
    Progress,
    percentiles_ms,
    pinned_context,
    run_load,
)

RECEIPTS_FOLDER = "receipts"


@attrs.frozen(kw_only=True)
class Measurement:
    """Everything one run gave."""

    report: Mapping[str, Any]
    differences: Sequence[str]
    """Where the network's state is not what the workload knows to be right; empty when all is."""
    receipts: Sequence[Path]


@attrs.frozen(kw_only=True)
class Run:
    """One benchmark run to make."""

    spec: NetworkSpec
    workload: Workload
    adapter: LedgerAdapter
    outstanding: int
    per_request: int
    verify: bool = True


async def measure(run: Run, progress: Progress | None, say: Callable[[str], None]) -> Measurement:
    """Start the network, send the load, verify state, collect receipts, stop the network."""
    async with open_network(run.spec) as network:
        before = await _readings(network)
        say(f"{run.spec.nodes} nodes are open; sending {run.workload.transactions} transactions")
        result = await _load(run, network, progress)
        after = await _readings(network)
        say("verifying state and receipts on every node" if run.verify else "state is not verified")
        differences = list(await _verify(run, network)) if run.verify else []
        receipts = await _receipts(run, network, result)
    return Measurement(report=_report(run, result, before, after), differences=differences, receipts=receipts)


async def _load(run: Run, network: LocalNetwork, progress: Progress | None) -> LoadResult:
    settings = LoadSettings(
        endpoints=network.endpoints,
        service_certificate=network.service_certificate,
        outstanding=run.outstanding,
        per_request=run.per_request,
    )
    return await run_load(settings, run.workload.loads(run.per_request), run.workload.refused, progress)


async def _readings(network: LocalNetwork) -> list[Mapping[str, Any]]:
    """Return what each node says of its memory and processor time."""
    tls = pinned_context(network.service_certificate)
    readings: list[Mapping[str, Any]] = []
    for endpoint in network.endpoints:
        async with await Connection.open(endpoint.admin, tls) as connection:
            readings.append(await NodeClient(connection).resources())
    return readings


async def _verify(run: Run, network: LocalNetwork) -> Sequence[str]:
    tls = pinned_context(network.service_certificate)
    connections = [await Connection.open(endpoint.rpc, tls) for endpoint in network.endpoints]

    async def ask(node: int, body: bytes) -> bytes:
        return (await connections[node].request("POST", "/", body)).body

    try:
        return await run.workload.verify(ask, len(connections))
    finally:
        for connection in connections:
            await connection.close()


async def _receipts(run: Run, network: LocalNetwork, result: LoadResult) -> list[Path]:
    """Keep a JSON and a COSE receipt of one transaction of each class."""
    folder = run.spec.folder / RECEIPTS_FOLDER
    folder.mkdir()
    kept: list[Path] = []
    async with await Connection.open(
        network.endpoints[-1].admin, pinned_context(network.service_certificate)
    ) as connection:
        client = NodeClient(connection)
        for name, index in run.workload.classes().items():
            place = result.places[index] if index < len(result.places) else None
            if place is None:
                continue
            for suffix, cose in (("json", False), ("cose", True)):
                path = folder / f"{name}.{suffix}"
                path.write_bytes(await client.receipt(str(place), cose=cose))
                kept.append(path)
    return kept


def _report(
    run: Run,
    result: LoadResult,
    before: Sequence[Mapping[str, Any]],
    after: Sequence[Mapping[str, Any]],
) -> Mapping[str, Any]:
    duration = result.ended_at - result.started_at
    signatures = max(
        late["statistics"]["signatures"] - early["statistics"]["signatures"]
        for early, late in zip(before, after, strict=True)
    )
    committed = len(result.sent_at) - len(result.refused)
    majority = run.spec.nodes // 2 + 1
    everywhere = result.latencies(run.spec.nodes)
    placed = sum(1 for place in result.places if place is not None)
    return {
        "nodes": run.spec.nodes,
        "engine": run.adapter.manifest.engine,
        "workload": run.workload.name,
        "transactions": len(result.sent_at),
        "committed": committed,
        "failed": len(result.refused),
        "duration_s": round(duration, 3),
        "throughput_tps": round(committed / duration, 1) if duration else 0.0,
        "latency_ms": {
            "majority": percentiles_ms(result.latencies(majority)),
            "all_nodes": percentiles_ms(everywhere),
        },
        "unseen_by_all_nodes": placed - len(everywhere),
        "outstanding": run.outstanding,
        "per_request": run.per_request,
        "signature_interval_ms": round(duration * 1000 / signatures, 2) if signatures else 0.0,
        "resent_requests": result.resent_requests,
        "refused": list(result.refused[:20]),
        "per_node": [
            {
                "resident_bytes": late["resident_bytes"],
                "resident_bytes_before": early["resident_bytes"],
                "cpu_s": round(late["cpu_s"] - early["cpu_s"], 2),
                "merkle_tree_bytes": late["merkle_tree_bytes"],
                "log_cache_bytes": late["statistics"]["log_cache_bytes"],
                "maps": _growth(early["maps"], late["maps"]),
            }
            for early, late in zip(before, after, strict=True)
        ],
        "machine": machine(),
    }


def _growth(
    before: Mapping[str, Mapping[str, int]], after: Mapping[str, Mapping[str, int]]
) -> Mapping[str, Mapping[str, int]]:
    """Return keys and bytes per map, and how many of them the load added."""
    nothing = {"keys": 0, "bytes": 0}
    return {
        name: {
            **now,
            "keys_added": now["keys"] - before.get(name, nothing)["keys"],
            "bytes_added": now["bytes"] - before.get(name, nothing)["bytes"],
        }
        for name, now in after.items()
    }


def machine() -> Mapping[str, Any]:
    """Return what a figure needs beside it to mean anything."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(),
        "python": platform.python_version(),
        "client_on_same_machine": True,
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def describe(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the report as rows to show to a person."""
    latency = report["latency_ms"]
    rows = [
        ("workload", str(report["workload"])),
        ("nodes, engine", f"{report['nodes']}, {report['engine']}"),
        ("committed", f"{report['committed']} of {report['transactions']}"),
        ("failed", str(report["failed"])),
        ("duration", f"{report['duration_s']:.2f} s"),
        ("throughput", f"{report['throughput_tps']:.0f} tx/s"),
    ]
    for name, title in (("majority", "latency to a majority"), ("all_nodes", "latency to all nodes")):
        values = latency[name]
        shown = "p50 {p50} ms, p95 {p95} ms, p99 {p99} ms".format(**values) if values else "not known"
        rows.append((title, shown))
    if report["unseen_by_all_nodes"]:
        rows.append(("not seen by all nodes", f"{report['unseen_by_all_nodes']} transactions"))
    resident = ", ".join(f"{one['resident_bytes'] / 2**20:.0f} MiB" for one in report["per_node"])
    rows.append(("outstanding, per request", f"{report['outstanding']}, {report['per_request']}"))
    rows.append(("signature every", f"{report['signature_interval_ms']} ms"))
    rows.append(("memory of the nodes", resident))
    used = ", ".join(f"{1e6 * one['cpu_s'] / max(1, report['committed']):.0f}" for one in report["per_node"])
    rows.append(("CPU µs per transaction", f"{used} (each node)"))
    about = report["machine"]
    rows.append(("machine", f"{about['cores']} x {about['processor']}, Python {about['python']}"))
    return rows


def describe_memory(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what the first node's memory grew by, explained per map, as rows to show to a person.

    Maps show what keys and values hold. The rest of the growth is Python's own cost of objects (33
    bytes of header for a key and as many for a value, about 100 for a dictionary entry), reverse diffs
    of recent commits, and memory the allocator keeps.
    """
    reading = report["per_node"][0]
    count = max(1, report["committed"])
    grown = reading["resident_bytes"] - reading["resident_bytes_before"]
    rows = [
        ("resident before", _mib(reading["resident_bytes_before"])),
        ("resident after", _mib(reading["resident_bytes"])),
        ("grown per transaction", f"{grown / count:.0f} bytes"),
        ("Merkle tree", _mib(reading["merkle_tree_bytes"])),
        ("log cache for followers", f"{_mib(reading['log_cache_bytes'])}, bounded"),
    ]
    for name, sizes in sorted(reading["maps"].items(), key=lambda item: -item[1]["bytes"]):
        if sizes["keys_added"] or sizes["bytes"] > 2**20:
            per_key = sizes["bytes"] / max(1, sizes["keys"])
            keys = f"{sizes['keys']} keys (+{sizes['keys_added']})"
            rows.append((name, f"{keys}, {_mib(sizes['bytes'])}, {per_key:.0f} bytes a key"))
    return rows


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:.1f} MiB"
