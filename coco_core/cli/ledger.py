"""``coco ledger``: read and check ledger files offline; needs no node and no secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import trio

from coco_core.crypto import read_certificate
from coco_core.errors import OperatorError
from coco_core.governance import GovernanceAuditor, GovernanceReport
from coco_core.kv import maps
from coco_core.ledger import (
    AuditReport,
    ChunkName,
    LedgerAuditor,
    Snapshot,
    audit,
    parse_chunk,
    read_public,
    read_public_snapshot,
)
from coco_core.node.constitution_process import ConstitutionProcess


@click.group()
def ledger() -> None:
    """Audit and show ledger files."""


@ledger.command(name="audit")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--service-cert", type=click.Path(path_type=Path), help="PEM the ledger must be signed under.")
@click.option(
    "--snapshots",
    type=click.Path(path_type=Path),
    help="Where to find the snapshot a ledger follows that does not begin at 1; beside FOLDER by default.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def audit_command(folder: Path, service_cert: Path | None, snapshots: Path | None, as_json: bool) -> None:
    """Check all entries, proofs and signatures in FOLDER, and that governance kept its own rules.

    Exit 1 at the first that fails.
    """
    certificate = _read_text(service_cert) if service_cert else None
    report, governed = trio.run(partial(audit_service, folder, certificate, snapshots))
    fields = report_fields(report) | governance_fields(governed)
    if as_json:
        pinned = {"service_identity_pinned": service_cert is not None}
        print(json.dumps(fields | pinned, indent=2))
        return
    fields["constitutions"] = [
        f"{one['digest'][:16]} from {one['from']} to {one['to']}" for one in fields["constitutions"]
    ]
    for name, value in fields.items():
        if value is not None:
            print(f"{name.replace('_', ' ')}: {value}")
    if service_cert is None:
        print("service identity: NOT PINNED, read from the ledger itself; give --service-cert to pin it")


@ledger.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--from", "first", default=1, show_default=True, help="First seqno to show.")
@click.option("--count", default=50, show_default=True, help="How many entries.")
@click.option("--values", is_flag=True, help="Show values of public maps too.")
def show(folder: Path, first: int, count: int, values: bool) -> None:
    """Show what can be read of the entries in FOLDER without secrets."""
    last = first + count
    for name, data in chunks(folder):
        parsed = parse_chunk(name, data)
        for number, (_, raw) in enumerate(parsed.entries(), parsed.name.first):
            if not first <= number < last:
                continue
            entry = read_public(bytes(raw))
            kind = "signature" if maps.SIGNATURES in entry.public else "entry"
            print(f"{entry.txid} {kind}, {len(raw)} bytes, {len(entry.private)} of them sealed")
            for map_name, changes in entry.public.items():
                print(f"    {map_name}: {len(changes)} keys")
                for key, value in changes.items() if values else ():
                    print(f"        {_printable(key)} = {_printable(value)}")


def chunks(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and contents of every ledger file in order; raises OperatorError when there is none."""
    for path in _chunk_paths(folder):
        yield path.name, _read(path)


def audit_folder(folder: Path, service_certificate: str | None, snapshots: Path | None = None) -> AuditReport:
    """Audit the ledger in ``folder``; raises IntegrityError naming file, offset, seqno and rule.

    One that does not begin at 1 is audited from the snapshot it follows, which lies in ``snapshots`` (by
    default the folder of that name beside ``folder``); raises OperatorError when it is not there. That
    governance kept its rules is ``audit_service``'s to see.
    """
    start = snapshot_before(folder, snapshots)
    return audit(chunks(folder), service_cert_pem=service_certificate, start=start)


async def audit_service(
    folder: Path, service_certificate: str | None, snapshots: Path | None = None
) -> tuple[AuditReport, GovernanceReport]:
    """Audit the ledger in ``folder`` like ``audit_folder``, and what it says of governance with it."""
    start = snapshot_before(folder, snapshots)
    async with ConstitutionProcess() as runtime:
        governance = GovernanceAuditor(runtime)
        auditor = LedgerAuditor(watch=governance.note)
        if start is not None:
            auditor.begin(start)
            governance.begin(start.place.txid.seqno, start.maps)
        for name, data in chunks(folder):
            auditor.read_chunk(name, data)
            await governance.judge()
        pinned = read_certificate(service_certificate) if service_certificate is not None else None
        return auditor.finish(pinned), governance.finish()


def snapshot_before(folder: Path, snapshots: Path | None = None) -> Snapshot | None:
    """Return the snapshot that the ledger in ``folder`` follows, None for one that begins at 1.

    It proves itself under the identity it tells of, which whoever audits goes on with: the ledger ends under
    that one, or under one that took over from it. Raises OperatorError when it is not there, IntegrityError
    when it does not prove itself.
    """
    first = ChunkName.parse(_chunk_paths(folder)[0].name).first
    if first == 1:
        return None
    beside = folder.resolve().parent / "snapshots"
    path = _snapshot_path(snapshots if snapshots is not None else beside, folder, first)
    return read_public_snapshot(path.name, _read(path), None)


def _chunk_paths(folder: Path) -> list[Path]:
    try:
        paths = [path for path in folder.iterdir() if path.name.startswith("ledger_")]
    except OSError as error:
        raise OperatorError(f"{folder}: {error.strerror}") from error
    if not paths:
        raise OperatorError(f"{folder} holds no ledger files (ledger_…)")
    return sorted(paths, key=lambda path: ChunkName.parse(path.name))


def _snapshot_path(snapshots: Path, folder: Path, first: int) -> Path:
    """Return the proven snapshot behind which entry ``first`` comes."""
    pattern = f"snapshot_{first - 1}_*.committed"
    found = sorted(snapshots.glob(pattern))
    if not found:
        raise OperatorError(f"{folder} begins at {first}, behind a snapshot: no {pattern} in {snapshots}")
    return found[0]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise OperatorError(f"{path}: {error.strerror}") from error


def report_fields(report: AuditReport) -> dict[str, Any]:
    """Return the report as plain values, in the order to show them."""
    return {
        "begins_behind": str(report.start) if report.start is not None else None,
        "entries": report.entries,
        "signatures": report.signatures,
        "last_verified": str(report.last_verified),
        "unsigned_tail": report.unsigned_tail,
        "torn_tail_bytes": report.torn_tail_bytes,
        "views": [f"{view} from {first}" for view, first in report.views],
        "nodes": dict(report.nodes),
        "service_fingerprint": report.service_fingerprint,
        "recoveries": report.recoveries,
        "private_verified": report.private_verified,
        "size_bytes": report.size_bytes,
    }


def governance_fields(report: GovernanceReport) -> dict[str, Any]:
    """Return what an audit of governance established as plain values, in the order to show them."""
    return {
        "governance_changes": report.changes,
        "founded_by": report.founded_by or None,
        "constitutions": [
            {"digest": one.digest, "from": one.first_seqno + 1, "to": one.last_seqno}
            for one in report.constitutions
        ],
        "proposals": dict(report.proposals),
        "ballots": report.ballots,
        "members": dict(report.members),
        "epochs": report.epochs,
    }


def _read_text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"{path}: {error}") from error


def _printable(data: bytes | None) -> str:
    if data is None:
        return "(removed)"
    text = data[:400].decode(errors="replace")
    return text if text.isprintable() else data[:200].hex()
