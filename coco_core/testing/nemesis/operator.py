"""The operator of a network on trial: lets a new node in, in the place of one that is gone.

Knows what the operators' interface is asked and answers; must not know processes.
"""

from __future__ import annotations

import datetime
import itertools
import json
import ssl
from collections.abc import Sequence
from pathlib import Path

import trio

from coco_core.client import AnswerError, Connection, ConnectionLostError, NodeClient, pinned_context
from coco_core.crypto import Curve, PrivateKey, self_signed
from coco_core.node.clock import utc_now

CERTIFICATE_FILE, KEY_FILE = "operator.pem", "operator_key.pem"
ANSWER_TIMEOUT_S = 5.0
ASK_AGAIN_S = 0.3
MEMBERS = "/node/members"


class Operator:
    """One operator, known to the network from its beginning."""

    def __init__(self, folder: Path) -> None:
        """Make key and certificate, and keep them in ``folder``."""
        key = PrivateKey.generate(Curve.P256)
        now = utc_now().replace(microsecond=0)
        day = datetime.timedelta(days=2)  # Nodes whose clocks are a day off must accept it too.
        certificate = self_signed(key, "Nemesis", not_before=now - day, not_after=now + day)
        self.certificate_file = folder / CERTIFICATE_FILE
        self._key_file = folder / KEY_FILE
        self.certificate_file.write_text(certificate)
        self._key_file.touch(mode=0o600)
        self._key_file.write_text(key.to_pem())
        self.last_answer = ""
        """What a node said to the newest request."""

    async def replace(self, admins: Sequence[str], service_certificate: str, new: str, old: str) -> None:
        """Have the network take ``new`` in and ``old`` out; return when that is agreed.

        Asks one node after the other, again and again: a request that was decided already is refused then,
        and changes nothing. That a node runs says nothing yet: it learns before it has a say.
        """
        tls = pinned_context(service_certificate)
        tls.load_cert_chain(self.certificate_file, self._key_file)
        for admin in itertools.cycle(admins):
            with trio.move_on_after(ANSWER_TIMEOUT_S):
                if await self._agreed(admin, tls, new, old):
                    return
            await trio.sleep(ASK_AGAIN_S)

    async def _agreed(self, admin: str, tls: ssl.SSLContext, new: str, old: str) -> bool:
        """Ask one node, and return whether it says that the change is made."""
        body = json.dumps({"add": [new], "remove": [old]}).encode()
        try:
            async with await Connection.open(admin, tls) as connection:
                nodes = (await NodeClient(connection).network())["nodes"]
                if nodes.get(new, {}).get("status") == "Trusted":
                    return True
                await connection.send("POST", MEMBERS, body)
                answer = await connection.receive()
        except (ConnectionLostError, AnswerError) as error:
            self.last_answer = str(error)
        else:
            self.last_answer = f"{answer.status} {answer.body[:300].decode(errors='replace')}"
        return False
