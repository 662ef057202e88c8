"""``coco member recover``: a member confirms, with its share, to which identity a service is recovered."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from coco_core.attestation import Verdict
from coco_core.cli.asking import ADMIN, FILE, SERVICE, ask, now_s, read_text, service_context
from coco_core.cli.judging import judge, measurements
from coco_core.cli.member_keys import signing
from coco_core.cli.member_requests import printable
from coco_core.client import Connection, GovernanceClient, Signer
from coco_core.crypto import read_certificate_der, service_id
from coco_core.errors import AttestationError, IntegrityError, OperatorError
from coco_core.governance import MemberMessage, check_share, open_share, read_recovery


@click.command()
@ADMIN
@SERVICE
@signing
@click.option("--enc-key", type=FILE, required=True, help="PEM of the member's private encryption key.")
@click.option("--previous-cert", type=FILE, help="PEM of the service as the member knew it, to be compared.")
@measurements(required=False)
@click.option("--confirm", help="SHA-256 of the new service key, in hex, as shown before.")
def recover(
    signer: Signer,
    admin: str,
    service_cert: Path,
    enc_key: Path,
    previous_cert: Path | None,
    accepted: tuple[str, ...],
    confirm: str | None,
) -> None:
    """Give one's recovery share to the node that recovers a lost service.

    The service will have another identity: --service-cert is the file of the *new* one, which whoever runs
    the node handed over. Without --confirm it is shown what is recovered, and no share is given. A share is
    given only to a node that proves to run code that a --measurement names: a node can say anything.
    """
    identity = _service(service_cert)
    previous = None if previous_cert is None else _service(previous_cert)

    async def question(connection: Connection) -> None:
        client = GovernanceClient(connection)
        said = await client.read("/gov/recovery/progress")
        certificate = read_certificate_der(connection.peer_certificate)
        verdict = judge(certificate, accepted or [f"{said['platform']}:{said['measurement']}"])
        _show(said, verdict)
        if said["serviceIdentity"] != identity:
            raise IntegrityError(f"the node recovers to another identity than that in {service_cert}")
        if previous is not None and said["previousServiceIdentity"] != previous:
            raise IntegrityError(f"what is recovered is not the service of {previous_cert}")
        if confirm is None:
            print(f"no share was given; to give it, add --confirm {identity}")
            return
        if confirm.lower() != identity:
            raise OperatorError(f"--confirm names another identity than {identity}")
        if not accepted:
            raise OperatorError("--confirm needs a --measurement: of code that may have the secrets")
        view = await client.recovery_state()
        recovery = read_recovery(view)
        record = None if recovery is None else recovery.members.get(signer.member_id)
        if record is None:
            raise OperatorError(f"member {signer.member_id} holds no share")
        try:
            share = open_share(record.encrypted_share, read_text(enc_key))
        except AttestationError as error:
            raise OperatorError(f"{enc_key}: {error}") from error
        check_share(view, signer.member_id, share)
        message = MemberMessage.recovery_share(signer.member_id, share, identity)
        answer = await client.post(message.path, signer.sign(message, now_s()))
        print(f"share given: {answer['submittedCount']} of {answer['recoveryThreshold']} needed")

    ask(admin, service_context(service_cert), question)


def _service(path: Path) -> str:
    try:
        return service_id(read_text(path))
    except AttestationError as error:
        raise OperatorError(f"{path}: {error}") from error


def _show(said: Mapping[str, Any], verdict: Verdict) -> None:
    for name, field in (
        ("service before", "previousServiceIdentity"),
        ("recovered up to", "lastSigned"),
        ("service from now on", "serviceIdentity"),
    ):
        print(f"{name}: {printable(str(said[field]))}")
    print(f"node's platform: {verdict.format}{'' if verdict.secure else ' (protects nothing)'}")
    print(f"node's measurement: {verdict.measurement}")
    print(f"shares: {len(said['submitted'])} of {said['recoveryThreshold']} needed")
