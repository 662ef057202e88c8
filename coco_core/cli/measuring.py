"""Running a workload against a fresh network and collecting what a benchmark reports.

``open_bench`` is the one place that starts such a network, with the processes that execute beside its nodes;
who measures something else between two rounds (a tool of an adapter) sends its load through the same Bench.
"""

from __future__ import annotations

import os
import platform
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import psutil

from coco_core.adapter import HTTPRequest, HTTPResponse, LedgerAdapter, TxID, Workload
from coco_core.cli.companions import companions
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
from coco_core.errors import OperatorError

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
    rounds: int = 1
    """In how many parts the transactions behind the warm-up are sent, each measured for itself."""
    verify: bool = True

    @property
    def parts(self) -> list[int]:
        """How many transactions each round has. Raises OperatorError where there is not one for each."""
        whole, warm_up = self.workload.transactions, self.workload.warm_up
        each, more = divmod(whole - warm_up, self.rounds)
        if each < 1:
            warming = f", {warm_up} of them to warm up" if warm_up else ""
            raise OperatorError(
                f"{whole} transactions{warming}: none is left for each of {self.rounds} rounds"
            )
        return [each + (number < more) for number in range(self.rounds)]


def network_for(workload: Workload, *, folder: Path, nodes: int, ledger: str, engine: str) -> NetworkSpec:
    """Return the network of this machine that a workload needs."""
    return NetworkSpec(
        folder=folder,
        nodes=nodes,
        ledger=ledger,
        engine=engine,
        config=workload.config,
        node_settings={ledger: workload.node_settings},
    )


class Bench:
    """An open network, and the workload that is sent to it, part by part."""

    def __init__(self, run: Run, network: LocalNetwork, progress: Progress | None) -> None:
        """Send what ``run`` says to ``network``."""
        self.run = run
        self.network = network
        self._progress = progress
        self._refused = 0
        self.places: list[TxID | None] = []
        """Of every transaction sent so far, those of the warm-up among them."""

    @property
    def sent(self) -> int:
        """How many transactions were sent so far."""
        return len(self.places)

    async def load(
        self, count: int, *, outstanding: int | None = None, per_request: int | None = None
    ) -> LoadResult:
        """Send the next ``count`` transactions to the node that leads; return when all nodes have them.

        Raises OperatorError when there are not so many left.
        """
        if count > self.run.workload.transactions - self.sent:
            raise OperatorError(f"the workload has no {count} transactions left")
        size = per_request or self.run.per_request
        settings = LoadSettings(
            endpoints=self.network.endpoints,
            service_certificate=self.network.service_certificate,
            outstanding=max(outstanding or self.run.outstanding, size),
            per_request=size,
            first=self.network.leader() or 0,
        )
        loads = self.run.workload.loads(size, self.sent, count)
        result = await run_load(settings, loads, self.run.workload.told, self._told)
        self.places += result.places
        self._refused += len(result.refused)
        return result

    def examples(self) -> tuple[dict[str, TxID], list[str]]:
        """Return where one transaction of each class is, by name, and of which classes that is not known."""
        known = {
            name: place
            for name, index in self.run.workload.classes().items()
            if index < self.sent and (place := self.places[index]) is not None
        }
        return known, [name for name in self.run.workload.classes() if name not in known]

    async def warm_up(self) -> None:
        """Send the first transactions, which are about compilers and connections."""
        if self.run.workload.warm_up:
            await self.load(self.run.workload.warm_up)

    async def readings(self) -> list[Mapping[str, Any]]:
        """Return what each node says of its memory and processor time."""
        tls = pinned_context(self.network.service_certificate)
        readings: list[Mapping[str, Any]] = []
        for endpoint in self.network.endpoints:
            async with await Connection.open(endpoint.admin, tls) as connection:
                readings.append(await NodeClient(connection).resources())
        return readings

    def _told(self, answered: int, refused: int) -> None:
        if self._progress is not None:
            self._progress(self.sent + answered, self._refused + refused)


@asynccontextmanager
async def open_bench(run: Run, progress: Progress | None = None) -> AsyncIterator[Bench]:
    """Start the network with what executes beside its nodes, hand it out, and stop all of it on the way out.

    Raises OperatorError when one of these processes ends before that.
    """
    async with open_network(run.spec) as network:
        beside = {node.folder: run.workload.companions(node.index) for node in network.nodes}
        async with companions(beside):
            yield Bench(run, network, progress)


async def measure(run: Run, progress: Progress | None, say: Callable[[str], None]) -> Measurement:
    """Start the network, send the load, verify state, collect receipts, stop the network."""
    parts = run.parts
    async with open_bench(run, progress) as bench:
        warm_up = run.workload.warm_up
        say(
            f"{run.spec.nodes} nodes are open; sending {sum(parts)} transactions"
            + (f" after {warm_up} to warm up" if warm_up else "")
        )
        await bench.warm_up()
        before = await bench.readings()
        results = [await bench.load(count) for count in parts]
        after = await bench.readings()
        say("verifying state and receipts on every node" if run.verify else "state is not verified")
        differences = list(await _verify(run, bench.network)) if run.verify else []
        receipts = await _receipts(bench, say)
    report = report_of(run, results, before, after)
    return Measurement(report=report, differences=differences, receipts=receipts)


async def _verify(run: Run, network: LocalNetwork) -> Sequence[str]:
    tls = pinned_context(network.service_certificate)
    connections = [await Connection.open(endpoint.rpc, tls) for endpoint in network.endpoints]

    async def ask(node: int, request: HTTPRequest) -> HTTPResponse:
        content_type = request.headers.get("content-type", "")
        await connections[node].send(request.method, request.target, request.body, content_type)
        answer = await connections[node].receive()
        return HTTPResponse(status=answer.status, body=answer.body, headers=answer.headers)

    try:
        return await run.workload.verify(ask, len(connections))
    finally:
        for connection in connections:
            await connection.close()


async def _receipts(bench: Bench, say: Callable[[str], None]) -> list[Path]:
    """Keep a JSON and a COSE receipt of one transaction of each class; say of which there is none."""
    network = bench.network
    folder = bench.run.spec.folder / RECEIPTS_FOLDER
    folder.mkdir()
    examples, missing = bench.examples()
    if missing:
        say(f"no receipt of {', '.join(missing)}: no answer told where in the ledger it is")
    kept: list[Path] = []
    async with await Connection.open(
        network.endpoints[-1].admin, pinned_context(network.service_certificate)
    ) as connection:
        client = NodeClient(connection)
        for name, place in examples.items():
            for suffix, cose in (("json", False), ("cose", True)):
                path = folder / f"{name}.{suffix}"
                path.write_bytes(await client.receipt(str(place), cose=cose))
                kept.append(path)
    return kept


def report_of(
    run: Run,
    results: Sequence[LoadResult],
    before: Sequence[Mapping[str, Any]],
    after: Sequence[Mapping[str, Any]],
) -> Mapping[str, Any]:
    """Return the figures of rounds, with their conditions, from what nodes said before and after them."""
    durations = [each.ended_at - each.started_at for each in results]
    duration = sum(durations)
    signatures = max(
        late["statistics"]["signatures"] - early["statistics"]["signatures"]
        for early, late in zip(before, after, strict=True)
    )
    committed = [len(each.sent_at) - len(each.refused) for each in results]
    refused = [reason for each in results for reason in each.refused]
    majority = run.spec.nodes // 2 + 1
    everywhere = _together(each.latencies(run.spec.nodes) for each in results)
    placed = sum(1 for each in results for place in each.places if place is not None)
    return {
        "nodes": run.spec.nodes,
        "engine": run.adapter.manifest.engine,
        "workload": run.workload.name,
        "warm_up": run.workload.warm_up,
        "transactions": sum(len(each.sent_at) for each in results),
        "committed": sum(committed),
        "failed": len(refused),
        "duration_s": round(duration, 3),
        "throughput_tps": _rate(sum(committed), duration),
        "rounds_tps": [_rate(*each) for each in zip(committed, durations, strict=True)],
        "latency_ms": {
            "answer": percentiles_ms(_together(each.answers() for each in results)),
            "majority": percentiles_ms(_together(each.latencies(majority) for each in results)),
            "all_nodes": percentiles_ms(everywhere),
        },
        "unseen_by_all_nodes": placed - len(everywhere),
        "outstanding": run.outstanding,
        "per_request": run.per_request,
        "signature_interval_ms": round(duration * 1000 / signatures, 2) if signatures else 0.0,
        "resent_requests": sum(each.resent_requests for each in results),
        "refused": refused[:20],
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


def _rate(count: int, duration_s: float) -> float:
    return round(count / duration_s, 1) if duration_s else 0.0


def _together(latencies: Iterable[Sequence[float]]) -> list[float]:
    return [each for one in latencies for each in one]


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


_LATENCIES = (
    ("answer", "latency to the answer"),
    ("majority", "latency to a majority"),
    ("all_nodes", "latency to all nodes"),
)


def describe(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the report as rows to show to a person."""
    latency = report["latency_ms"]
    rows = [
        ("workload", str(report["workload"])),
        ("nodes, engine", f"{report['nodes']}, {report['engine'] or 'outside the nodes'}"),
        ("committed", f"{report['committed']} of {report['transactions']}"),
        ("failed", str(report["failed"])),
        ("duration", f"{report['duration_s']:.2f} s"),
        ("throughput", f"{report['throughput_tps']:.0f} tx/s"),
    ]
    if report["warm_up"]:
        rows.insert(2, ("warmed up by", f"{report['warm_up']} transactions"))
    if len(report["rounds_tps"]) > 1:
        rows.append(("rounds", ", ".join(f"{each:.0f}" for each in report["rounds_tps"]) + " tx/s"))
    for name, title in _LATENCIES:
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
