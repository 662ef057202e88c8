"""``make demo-corda``: R3's published contracts on three nodes, a hostile one, and a trade with Ethereum.

The transactions are the golden vectors of ``wire/vectors``, made by Corda's own code. Every step says what
must come true; the first that does not ends the demo with exit status 1.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console

from coco_corda.notary_key import NotaryKey
from coco_corda.shell import finance_contracts, find_launch
from coco_corda.testing import Signer, nonce_of
from coco_core.cli.network import LedgerSpec, LocalNetwork, NetworkSpec, running
from coco_core.cli.telling import ENDED, Telling, commit_bundle, tell_and_audit
from coco_core.client import BundlePart, CommittedBundle, Connection
from coco_core.errors import CocoError, RejectedError
from coco_ethereum.testing.token import TokenHolder, tokens_of

BRIDGE: Final = Path(__file__).resolve().parents[1]
VECTORS: Final = BRIDGE / "wire" / "vectors"
ACCEPTANCE: Final = BRIDGE / "jvm" / "acceptance"
NODES: Final = 3
NOTARY: Final = "O=Coco Notary, L=Zurich, C=CH"
PEOPLE: Final = {"Alice": "O=Alice, L=Paris, C=FR", "Bob": "O=Bob, L=New York, C=US"}
ALICE_ON_ETHEREUM: Final = bytes.fromhex("a1" * 20)
TOKENS: Final = 120
PRICE: Final = 90
ATTEMPTS: Final = 100
PAUSE_S: Final = 0.3
TRIAL_S: Final = 60
"""Much for one transaction: the machine may be busy. What is shown here does not wait for it."""
HOSTILE_S: Final = 240


@attrs.define(kw_only=True)
class Story(Telling):
    """The network, and who trades on it."""

    network: LocalNetwork
    members: dict[str, dict[str, str]]
    bob: TokenHolder
    asked: int = 0

    async def ask(
        self, node: int, method: str, target: str, body: bytes = b"", by: str = ""
    ) -> tuple[int, Any]:
        """Return the status and JSON of an answer, to a request that ``by`` signed."""
        self.asked += 1
        headers: dict[str, str] = {}
        if by:
            nonce = nonce_of(self.asked, target)
            headers = self.signer(by).headers(method, target, time.time_ns() // 10**6, nonce, body)
        host, port = self.network.nodes[node].info["rpc"]["corda"].rsplit(":", 1)

        def exchange() -> tuple[int, Any]:
            with contextlib.closing(http.client.HTTPConnection(host, int(port), timeout=90)) as connection:
                connection.request(method, target, body, headers)
                answer = connection.getresponse()
                return answer.status, json.loads(answer.read())

        return await trio.to_thread.run_sync(exchange)

    def signer(self, name: str) -> Signer:
        """Return somebody's key."""
        notary = NotaryKey(bytes.fromhex(self.members[NOTARY]["seed"])).public_key
        seed = bytes.fromhex(self.members[PEOPLE[name]]["seed"])
        return Signer(Ed25519PrivateKey.from_private_bytes(seed), notary)

    async def submit(self, node: int, transaction: bytes) -> tuple[int, Any]:
        """Submit a transaction until its fate is known."""
        for _ in range(ATTEMPTS):
            status, told = await self.ask(node, "POST", "/transactions", transaction)
            if status != 503:
                return status, told
            await trio.sleep(PAUSE_S)
        raise CocoError("the network does not answer")

    async def states(self, node: int, name: str, count: int) -> list[str]:
        """Return the names of somebody's states, once there are ``count``: one node hears after another."""
        found: list[str] = []
        for _ in range(ATTEMPTS):
            _, told = await self.ask(node, "GET", "/states", by=name)
            found = [each["ref"] for each in told["states"]]
            if len(found) == count:
                break
            await trio.sleep(PAUSE_S)
        return found

    async def trade(self, node: int, tokens: int, transaction: bytes) -> CommittedBundle:
        """Submit a bundle: tokens from Bob to Alice on Ethereum, and a transaction on Corda."""
        pays = self.bob.payment(ALICE_ON_ETHEREUM, tokens)
        parts = [BundlePart("ethereum", pays), BundlePart("corda", transaction)]
        bundle = await commit_bundle(self.network, node, parts)
        self.bob.made()
        return bundle

    async def tokens(self, node: int, count: int) -> bool:
        """Return whether a node tells that Bob has ``count`` tokens, or soon will."""
        address = self.network.nodes[node].info["rpc"]["ethereum"]
        for _ in range(ATTEMPTS):
            async with await Connection.open(address, None) as connection:
                if await tokens_of(self.bob.address, connection) == count:
                    return True
            await trio.sleep(PAUSE_S)
        return False


def vector(name: str) -> bytes:
    """Return a golden transaction."""
    return (VECTORS / f"{name}.stx").read_bytes()


async def tell(story: Story, hostile: Path) -> None:
    """Tell the whole story."""
    async with running(story.network):
        await money_goes_round(story)
        await nothing_is_spent_twice(story)
        await hostile_code_runs(story, hostile)
        await ledgers_trade(story)


async def money_goes_round(story: Story) -> None:
    """Cash is issued, moved, split and redeemed through three nodes."""
    story.heading(
        f"{NODES} nodes; R3's corda-finance-contracts 4.10, unmodified, say what a valid transaction is"
    )
    began = time.perf_counter()
    status, told = await story.submit(0, vector("cash-issue"))
    first_s = time.perf_counter() - began
    ok = status == 200 and told["status"] == "recorded"
    story.true(
        f"the bank issues $100 to Alice: recorded, {first_s:.1f} s after the first JVM was asked for", ok
    )
    began = time.perf_counter()
    status, told = await story.submit(1, vector("cash-move"))
    moved_s = time.perf_counter() - began
    ok = status == 200 and told["status"] == "notarised"
    story.true(f"Alice pays Bob through node 1: notarised in {1000 * moved_s:.0f} ms", ok)
    status, told = await story.submit(2, vector("cash-split"))
    story.true("Bob splits it and pays $60 back to Alice through node 2", status == 200)
    hers, his = await story.states(0, "Alice", 1), await story.states(0, "Bob", 1)
    story.true(
        "node 0 shows Alice one state, and Bob the other one", len(hers) == len(his) == 1 and hers != his
    )
    status, _ = await story.ask(0, "GET", f"/states/{his[0]}", by="Alice")
    story.true("Alice asks for Bob's by name: there is no such state, for her", status == 404)
    status, told = await story.submit(0, vector("cash-exit"))
    story.true("Alice redeems her $60: the bank and she signed", status == 200)
    hers = await story.states(1, "Alice", 0)
    story.true("she has nothing left, says node 1", not hers)


async def nothing_is_spent_twice(story: Story) -> None:
    """A double spend, a broken rule of the contract, and the same transaction once more."""
    story.heading("What is spent is spent")
    status, told = await story.submit(2, vector("cash-double-spend"))
    error = told["error"]
    story.true(f"Alice spends the $100 again: {error['type']}", error["type"] == "NotaryError.Conflict")
    (consumed,) = error["consumedStates"].values()
    story.true(
        f"told is the hash of who did, {consumed['hashOfTransactionId'][:12]}…, and not who", status == 422
    )
    status, told = await story.submit(1, vector("cash-move"))
    story.true("her payment to Bob, sent again, gets the same signature again", status == 200)
    status, told = await story.submit(0, vector("cash-issued-by-another"))
    message = told["error"]["causes"][-1]["message"]
    story.true(
        f"Bob issues the bank's money: {message}", told["error"]["type"].endswith("TransactionInvalid")
    )


async def hostile_code_runs(story: Story, hostile: Path) -> None:
    """A CorDapp that members trusted, and should not have."""
    story.heading("A trusted CorDapp turns out hostile")
    for deed, what in (
        ("halt", "ends its JVM"),
        ("exhaust", "eats all memory"),
        ("files", "reads the machine"),
    ):
        answers: dict[str, tuple[int, Any]] = {}

        async def send(name: str, body: bytes, answers: dict[str, tuple[int, Any]] = answers) -> None:
            answers[name] = await story.submit(len(answers) % NODES, body)

        other = {"halt": "cash-issue-by-signer", "exhaust": "obligation-issue", "files": "obligation-move"}[
            deed
        ]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, "hostile", (hostile / f"{deed}.stx").read_bytes())
            nursery.start_soon(send, "other", vector(other))
        status, told = answers["hostile"]
        causes = told["error"].get("causes") or [told["error"]]
        story.true(f"its contract {what}: {causes[-1]['message'][:90]}", status == 422)
        status, told = answers["other"]
        fate = told.get("status") or told["error"]["message"]
        story.true(f"another publisher's transaction meanwhile: {fate}", status == 200)
    _, told = await story.ask(0, "GET", "/notary")
    story.true(f"where contracts run here: {told['runs']}", True)


async def ledgers_trade(story: Story) -> None:
    """Cash on Corda for tokens of an Ethereum contract, in one request."""
    story.heading("Dollars on Corda and an ERC-20 on Ethereum change hands together, or not at all")
    held = await story.states(0, "Alice", 1)
    dollars, spent = vector("cash-move-by-signer"), vector("cash-double-spend")
    for tokens, transaction, what in (
        (TOKENS + 1, dollars, "Bob offers more tokens than he has for Alice's $100"),
        (PRICE, spent, "he pays for dollars that she has spent before"),
    ):
        try:
            await story.trade(1, tokens, transaction)
        except RejectedError as error:
            story.true(f"{what}: refused ({error})", True)
        else:
            story.true(f"{what}: refused", False)
    intact = await story.tokens(0, TOKENS) and await story.states(0, "Alice", 1) == held
    story.true(f"he has his {TOKENS} tokens and she her dollars", intact)
    bundle = await story.trade(2, PRICE, dollars)
    places = " and ".join(map(str, bundle.transaction_ids))
    story.true(f"{PRICE} tokens for them: committed as {places}; one receipt proves both", True)
    gone = not await story.states(0, "Alice", 0)
    story.true("node 0 tells the same of both ledgers", gone and await story.tokens(0, TOKENS - PRICE))
    status, told = await story.submit(1, dollars)
    story.true("the notary's signature is there for whoever asks", status == 200 and "signature" in told)


def genesis(members: dict[str, dict[str, str]], hostile: Path) -> dict[str, Any]:
    """Return a genesis that trusts R3's contracts and, unwisely, one more jar."""
    jars = [finance_contracts() or b"", (hostile / "hostile.jar").read_bytes()]
    return {
        "notary_name": NOTARY,
        "notary_seed": members[NOTARY]["seed"],
        "attachments": [base64.b64encode(jar).decode() for jar in jars],
        "network_parameters": [base64.b64encode((VECTORS / "epoch-2.parameters").read_bytes()).decode()],
    }


def main() -> int:
    """Tell the story in a temporary folder; return the exit status."""
    console = Console(highlight=False)
    launch = find_launch({})
    if isinstance(launch, str):
        console.print(launch)
        return 1
    bob = TokenHolder(TOKENS)
    members = json.loads((VECTORS / "vectors.json").read_text())["members"]
    with tempfile.TemporaryDirectory(prefix="coco-") as temporary:
        folder = Path(temporary)
        hostile = folder / "hostile"
        tool = [
            str(BRIDGE / "jvm" / "tool.sh"),
            "HostileCorDapp",
            str(ACCEPTANCE / "src" / "hostile" / "java"),
        ]
        subprocess.run([*tool, str(hostile)], check=True, timeout=HOSTILE_S)  # noqa: S603 - ours
        spec = NetworkSpec(
            folder=folder / "network",
            nodes=NODES,
            ledger="corda",
            engine="",
            config=genesis(members, hostile),
            beside={"ethereum": LedgerSpec(config=bob.genesis())},
            node_settings={"corda": lambda index: {"verify_seconds": TRIAL_S}},
        )
        spec.folder.mkdir()
        story = Story(console=console, network=LocalNetwork(spec), members=members, bob=bob)
        try:
            tell_and_audit(console, story.network, partial(tell, story, hostile))
        except CocoError as error:
            console.print(f"[red]{error}[/]")
            return 1
    console.print(ENDED)
    return 0


if __name__ == "__main__":
    sys.exit(main())
