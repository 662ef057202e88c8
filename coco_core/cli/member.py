"""``coco member``: what members of a consortium do: keys, acknowledgement, proposals, ballots, partials."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import click

from coco_core.cli.asking import ADMIN, FILE, SERVICE, ask, now_s, read_text, service_context, write_new
from coco_core.cli.member_external import finish, prepare
from coco_core.cli.member_keys import (
    CERTIFICATE,
    KEY,
    MEMBER_VALIDITY_DAYS,
    make_member,
    read_member_certificate,
    recertified,
    signing,
)
from coco_core.cli.member_recover import recover
from coco_core.cli.member_requests import ballot_of, check_constitution, printable, proposal_of
from coco_core.client import GovernanceClient, Signer
from coco_core.crypto import Curve, read_certificate
from coco_core.errors import AttestationError, OperatorError
from coco_core.governance import (
    MemberMessage,
    check_shares_dealt,
    open_share,
    partial_for_epoch,
    read_recovery,
)

Question = Callable[[GovernanceClient], Awaitable[None]]


@click.group()
def member() -> None:
    """Govern: acknowledge a constitution, propose, vote, hold a share of the recovery key."""


member.add_command(prepare)
member.add_command(finish)
member.add_command(recover)


def _connected(command: Callable[..., Question]) -> Callable[..., None]:
    """Give a command ``--admin`` and ``--service-cert``, and put the question it returns to the node."""

    @ADMIN
    @SERVICE
    @functools.wraps(command)
    def run(*, admin: str, service_cert: Path, **rest: Any) -> None:
        question = command(**rest)
        ask(admin, service_context(service_cert), lambda connection: question(GovernanceClient(connection)))

    return run


async def _post(client: GovernanceClient, signer: Signer, message: MemberMessage) -> Mapping[str, Any]:
    answer: Mapping[str, Any] = await client.post(
        message.path, signer.sign(message, now_s(), await client.service_id())
    )
    return answer


def tell_proposal(answer: Mapping[str, Any]) -> None:
    """Print where a proposal stands, in one line."""
    line = f"proposal {answer['proposalId']}: {answer['proposalState']}"
    print(line + (f": {printable(str(answer['failure']))}" if answer.get("failure") else ""))


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────


@member.command()
@click.argument("folder", type=FILE)
@click.option("--name", default="Coco Member", show_default=True, help="Common name in the certificate.")
@click.option(
    "--curve",
    type=click.Choice([curve.value for curve in Curve]),
    default=Curve.P384.value,
    show_default=True,
    help="Of the key that signs.",
)
def keygen(folder: Path, name: str, curve: str) -> None:
    """Make a member's keys in FOLDER: one to sign with, one that its recovery share is encrypted to.

    The certificate and the public encryption key go into a proposal (set_member), or into 'found.members'
    of the founding node's settings. The two private keys stay here.
    """
    files = make_member(folder, name, Curve(curve))
    print(f"member {read_certificate(read_member_certificate(files.certificate)).fingerprint}")
    print(f"certificate {files.certificate}\nprivate key {files.key}")
    print(f"public encryption key {files.encryption_public}\nprivate encryption key {files.encryption_key}")


@member.command(name="id")
@CERTIFICATE
def show_id(cert: Path) -> None:
    """Print a member's ID: the SHA-256 of its certificate."""
    print(read_certificate(read_member_certificate(cert)).fingerprint)


@member.command()
@CERTIFICATE
@KEY
@click.option("--days", type=click.IntRange(1), default=MEMBER_VALIDITY_DAYS, show_default=True)
@click.option("--out", type=FILE, required=True, help="Where to write the new certificate.")
def recertify(cert: Path, key: Path, days: int, out: Path) -> None:
    """Make a new certificate over the same KEY, for members to vote for it: renew_member_certificate.

    For one that its own key signed, as keygen's; whoever issued another one renews it.
    """
    write_new(out, recertified(cert, key, days).encode())
    old, new = (read_certificate(read_member_certificate(path)) for path in (cert, out))
    print(f"member {old.fingerprint}\nbecomes {new.fingerprint}, until {new.not_after:%Y-%m-%d}")


# ── what members sign ────────────────────────────────────────────────────────────────────────────


@member.command()
@_connected
@signing
@click.option("--constitution", type=FILE, help="A file that must be the constitution, to the byte.")
@click.option("--accept", "accepted", help="SHA-256 of the constitution, in hex.")
def ack(signer: Signer, constitution: Path | None, accepted: str | None) -> Question:
    """Acknowledge the state of the service, its constitution included; a new member becomes active by it.

    Without --constitution and --accept the constitution is shown, and nothing is acknowledged.
    """

    async def question(client: GovernanceClient) -> None:
        seen = await check_constitution(client, constitution, accepted)
        answer = await _post(client, signer, MemberMessage.state_digest(signer.member_id))
        # The state to acknowledge was taken in between: it must hold what the member has seen.
        await check_constitution(client, None, seen)
        digest = str(answer["stateDigest"])
        await _post(client, signer, MemberMessage.acknowledgement(signer.member_id, digest))
        print(f"acknowledged state {digest} with constitution {seen}")

    return question


@member.command()
@click.argument("file", type=FILE, required=False)
@click.option("--action", help="Name of a single action, instead of FILE.")
@click.option("--arg", "args", multiple=True, help="NAME=VALUE: JSON, a text, or @FILE for a file's text.")
@_connected
@signing
def propose(signer: Signer, file: Path | None, action: str | None, args: tuple[str, ...]) -> Question:
    """Propose what FILE says, {"actions": [{"name": …, "args": {…}}]}, or one action.

    A proposal is no ballot: its proposer votes like every other member.
    """
    message = proposal_of(file, action, args)

    async def question(client: GovernanceClient) -> None:
        tell_proposal(await _post(client, signer, message))

    return question


@member.command()
@click.argument("proposal")
@click.option("--yes/--no", "yes", default=None, help="A plain vote.")
@click.option("--ballot", type=FILE, help="A Starlark text that defines vote(proposal, proposer).")
@_connected
@signing
def vote(signer: Signer, proposal: str, yes: bool | None, ballot: Path | None) -> Question:
    """Vote on PROPOSAL."""
    message = MemberMessage.ballot(signer.member_id, proposal, ballot_of(yes, ballot))

    async def question(client: GovernanceClient) -> None:
        tell_proposal(await _post(client, signer, message))

    return question


@member.command()
@click.argument("proposal")
@_connected
@signing
def withdraw(signer: Signer, proposal: str) -> Question:
    """Take one's own PROPOSAL back."""
    message = MemberMessage.withdrawal(proposal)

    async def question(client: GovernanceClient) -> None:
        tell_proposal(await _post(client, signer, message))

    return question


# ── what everybody may read ──────────────────────────────────────────────────────────────────────


@member.command()
@click.argument("proposal", required=False)
@_connected
def proposals(proposal: str | None) -> Question:
    """List open proposals and the newest that ended, or show PROPOSAL with its actions."""

    async def question(client: GovernanceClient) -> None:
        if proposal is None:
            for one in (await client.read("/gov/members/proposals"))["value"]:
                tell_proposal(one)
            return
        path = f"/gov/members/proposals/{proposal}"
        shown = {**await client.read(path), **await client.read(f"{path}/actions")}
        print(json.dumps(shown, indent=2))

    return question


@member.command()
@_connected
def members() -> Question:
    """List the members: who is active, who may hold a share, until when their certificates last."""

    async def question(client: GovernanceClient) -> None:
        for one in (await client.read("/gov/service/members"))["value"]:
            key = "has an encryption key" if one["publicEncryptionKey"] else "no encryption key"
            certificate = read_certificate(one["certificate"])
            until = f"{'until' if now_s() <= certificate.not_after.timestamp() else 'RAN OUT'} "
            until += f"{certificate.not_after:%Y-%m-%d}"
            name = printable(certificate.subject)
            print(f"{one['memberId']}  {one['status']:<8}  {key}  {until}  {name}")

    return question


@member.command()
@click.option("--out", type=FILE, help="Write the very text here, to be compared or changed.")
@_connected
def constitution(out: Path | None) -> Question:
    """Show the constitution in force."""

    async def question(client: GovernanceClient) -> None:
        text = await client.constitution()
        if out is None:
            click.echo(printable(text), nl=False)
        else:
            write_new(out, text.encode())

    return question


# ── shares ───────────────────────────────────────────────────────────────────────────────────────


@member.command()
@click.argument("epoch", type=click.IntRange(1))
@CERTIFICATE
@click.option("--enc-key", type=FILE, required=True, help="PEM of the member's private encryption key.")
@click.option("--out", type=FILE, required=True, help="Where to write what the auditor gets.")
@_connected
def partial(epoch: int, cert: Path, enc_key: Path, out: Path) -> Question:
    """Make a partial decryption of EPOCH for an auditor.

    It opens that epoch only, and only together with those of as many members as the recovery threshold
    says. The member's share itself stays where it is, and is not shown.
    """
    name = read_certificate(read_member_certificate(cert)).fingerprint

    async def question(client: GovernanceClient) -> None:
        view = await client.recovery_state()
        check_shares_dealt(view)
        recovery = read_recovery(view)
        record = None if recovery is None else recovery.members.get(name)
        if record is None:
            raise OperatorError(f"member {name} holds no share")
        try:
            share = open_share(record.encrypted_share, read_text(enc_key))
        except AttestationError as error:
            raise OperatorError(f"{enc_key}: {error}") from error
        write_new(out, partial_for_epoch(view, epoch, name, share))
        print(f"partial decryption of epoch {epoch} written to {out}")

    return question
