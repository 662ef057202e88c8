"""``coco attest``: evidence of a TEE explained, and judged as a network would judge it."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import click

from coco_core.attestation import Evidence, Examiner, Finding, known_examiners
from coco_core.base import limits
from coco_core.cli.asking import FILE
from coco_core.cli.live_evidence import fetch_evidence
from coco_core.errors import AttestationError, IntegrityError, OperatorError
from coco_core.node import utc_now

Answer = TypeVar("Answer")

_HEX: Final = re.compile("[0-9a-fA-F]*")
_VERDICTS: Final = {
    "affirming": "accepted",
    "warning": "accepted, with a warning",
    "contraindicated": "refused",
}


@click.group()
def attest() -> None:
    """Evidence that code runs in a TEE: what it says, and whether it holds."""


NODE: Final = click.option(
    "--node", help="A running node instead of FILE: its operators' interface, host:port."
)
SERVICE: Final = click.option("--service-cert", type=FILE, help="PEM of the service that node must be of.")


@attest.command()
@click.argument("file", type=FILE, required=False)
@NODE
@SERVICE
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(file: Path | None, node: str | None, service_cert: Path | None, as_json: bool) -> None:
    """Show what the evidence in FILE, or of a running node, says, without checking any of it.

    Of a node it is checked that the evidence is shown by who answers, and names its key.
    """
    evidence, examiner, _ = _sought(file, node, service_cert)
    _tell(_refusing(lambda: examiner.show(evidence)), as_json)


@attest.command()
@click.argument("file", type=FILE, required=False)
@NODE
@SERVICE
@click.option(
    "--collateral",
    "collaterals",
    type=FILE,
    multiple=True,
    help="What the vendor publishes for judging it; several files where it comes in several.",
)
@click.option("--now", help="ISO 8601 in UTC, like 2026-11-22T12:00:00Z; the present unless given.")
@click.option("--policy", type=FILE, help="Which code and platforms are accepted, JSON.")
@click.option("--report-data", help="The 64 bytes it must be made for, in hex.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify(
    file: Path | None,
    node: str | None,
    service_cert: Path | None,
    collaterals: tuple[Path, ...],
    now: str | None,
    policy: Path | None,
    report_data: str | None,
    as_json: bool,
) -> None:
    """Judge the evidence in FILE, or of a running node; exit 1 if it is refused.

    That of a node has to be made for the key it answers with, and is judged by the collateral it hands out.
    Nothing is fetched: the same files and the same time give the same verdict, whenever it is asked for.
    """
    evidence, examiner, bound = _sought(file, node, service_cert)
    evidence = _refusing(lambda: examiner.with_collateral(evidence, [_read(one) for one in collaterals]))
    now_s = int((utc_now() if now is None else _time(now)).timestamp())
    accepted = None if policy is None else _read(policy)
    expected = bound if report_data is None else _hex(report_data)
    finding = _refusing(lambda: examiner.judge(evidence, accepted, expected, now_s))
    _tell(finding, as_json)
    if not as_json:
        _say_what_was_not_asked(policy, expected)
    if finding.status == "contraindicated":
        raise IntegrityError(f"refused by the rule {finding.code!r}: {finding.reason}")


def _sought(
    file: Path | None, node: str | None, service: Path | None
) -> tuple[Evidence, Examiner, bytes | None]:
    """Return the evidence to look at, who knows it, and what it has to be bound to, where that is known."""
    if (file is None) == (node is None):
        raise OperatorError("name one of FILE and --node")
    if node is None:
        evidence, examiner = _find(_read(Path(str(file))), Path(str(file)))
        return evidence, examiner, None
    found = fetch_evidence(node, service)
    for examiner in known_examiners():
        if found.evidence.format in examiner.formats:
            return found.evidence, examiner, found.report_data
    raise OperatorError(
        f"{node} shows evidence of {found.evidence.format[:64]!r}: there is nothing to explain"
    )


def _find(data: bytes, file: Path) -> tuple[Evidence, Examiner]:
    """Return the evidence in a file and who knows it; raises OperatorError when nobody does."""
    examiners = known_examiners()
    if not examiners:
        raise OperatorError("no platforms are installed; try: pip install coco-framework[enclave]")
    for examiner in examiners:
        evidence = _refusing(partial(examiner.read, data))
        if evidence is not None:
            return evidence, examiner
    raise OperatorError(f"{file}: no evidence of a platform known here")


def _read(file: Path) -> bytes:
    """Return a file, as much of it as any evidence has; raises OperatorError."""
    try:
        with file.open("rb") as opened:
            data = opened.read(limits.EVIDENCE_FILE_MAX_BYTES + 1)
    except OSError as error:
        raise OperatorError(str(error)) from error
    if len(data) > limits.EVIDENCE_FILE_MAX_BYTES:
        raise OperatorError(f"{file}: more than {limits.EVIDENCE_FILE_MAX_BYTES} bytes")
    return data


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise OperatorError(f"--now: {text!r} is no time; expected one like 2026-11-22T12:00:00Z") from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _hex(text: str) -> bytes:
    if not _HEX.fullmatch(text) or len(text) != 2 * 64:
        raise OperatorError("--report-data: expected 64 bytes in hex")
    return bytes.fromhex(text)


def _refusing(ask: Callable[[], Answer]) -> Answer:
    """Return what the examiner says; raises OperatorError for what it cannot read."""
    try:
        with warnings.catch_warnings():
            # Libraries warn of what vendors' own certificates do, such as AMD's serial number 0.
            warnings.simplefilter("ignore")
            return ask()
    except AttestationError as error:
        raise OperatorError(f"{error.code}: {error}") from error


def _tell(finding: Finding, as_json: bool) -> None:
    if as_json:
        print(json.dumps(attrs.asdict(finding), indent=2, sort_keys=True))
        return
    print(f"evidence of {finding.format}: {_VERDICTS.get(finding.status, 'read, not checked')}")
    if finding.code:
        print(f"refused by the rule {finding.code!r}: {finding.reason}")
    _list("it says" if finding.status in ("none", "contraindicated") else "it proves", finding.claims)
    _list("verdict", {name: value for name, value in finding.details.items() if value not in ("", [], None)})
    if finding.caveats:
        print("it does not prove")
        for caveat in finding.caveats:
            print(f"  {caveat}")


def _list(heading: str, values: Mapping[str, Any]) -> None:
    if values:
        print(heading)
    for name, value in values.items():
        print(f"  {name.replace('_', ' ')}: {_told(name, value)}")


def _told(name: str, value: Any) -> str:
    if name.startswith("valid_"):
        return datetime.fromtimestamp(value, UTC).isoformat()
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _say_what_was_not_asked(policy: Path | None, expected: bytes | None) -> None:
    if policy is None:
        print("no --policy: any code is accepted, on genuine platforms that are up to date")
    if expected is None:
        print("no --report-data: whom it was made for is not checked")
