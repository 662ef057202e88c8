"""From what a member types to what it asks for: actions and their arguments, ballots, acknowledgements."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from coco_core.cli.asking import read_bytes, read_text
from coco_core.client import GovernanceClient
from coco_core.crypto import sha256
from coco_core.errors import OperatorError
from coco_core.governance import MemberMessage


def proposal_of(file: Path | None, action: str | None, args: Sequence[str]) -> MemberMessage:
    """Return the proposal in ``file``, or of one action with ``NAME=VALUE`` arguments."""
    if (file is None) == (action is None):
        raise click.UsageError("give a FILE with the proposal, or --action with its --arg")
    if file is not None:
        if args:
            raise click.UsageError("--arg belongs to --action")
        return MemberMessage.proposal_of(read_bytes(file))
    return MemberMessage.proposal([{"name": action, "args": dict(map(_argument, args))}])


def _argument(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"--arg {text!r} is not NAME=VALUE")
    if value.startswith("@"):
        return name, read_text(Path(value[1:]))
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def ballot_of(yes: bool | None, ballot: Path | None) -> bool | str:
    """Return a ballot: a plain one, or a text."""
    if (yes is None) == (ballot is None):
        raise click.UsageError("say --yes, --no or --ballot FILE")
    if yes is not None:
        return yes
    return read_text(ballot) if ballot is not None else False


async def check_constitution(client: GovernanceClient, file: Path | None, accepted: str | None) -> str:
    """Return the constitution's SHA-256 if it is the one the member says it accepts.

    Raises OperatorError when it is another; shows it and raises UsageError when the member did not say.
    """
    text = await client.constitution()
    digest = sha256(text.encode()).hex()
    if file is None and accepted is None:
        click.echo(printable(text))
        raise click.UsageError(
            f"this is the constitution, SHA-256 {digest}; who agrees says --accept {digest}, "
            "or --constitution with a file of one's own that holds the very same text"
        )
    if file is not None and read_bytes(file) != text.encode():
        raise OperatorError(f"{file} is not the constitution in force, whose SHA-256 is {digest}")
    if accepted is not None and accepted.lower() != digest:
        raise OperatorError(f"the constitution in force has SHA-256 {digest}, not {accepted}")
    return digest


def printable(text: str) -> str:
    """Return a text with everything visible that could move a terminal's cursor or hide something."""
    return "".join(one if one.isprintable() or one in "\n\t" else repr(one)[1:-1] for one in text)
