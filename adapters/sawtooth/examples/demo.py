"""``make demo-sawtooth``: Sawtooth's own processors and clients on a Coco network, beside Ethereum.

Processors and the client are processes of their own on the published SDK, unmodified, that know nothing of
Coco. Every step says what must come true; the first that does not ends the demo with exit status 1.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import attrs
import trio
from rich.console import Console

from coco_core.cli.local_node import LocalNode
from coco_core.cli.network import LedgerSpec, LocalNetwork, NetworkSpec, running
from coco_core.cli.telling import ENDED, Telling, commit_bundle, tell_and_audit
from coco_core.client import BundlePart, CommittedBundle, Connection
from coco_core.errors import CocoError, OperatorError, RejectedError
from coco_ethereum.testing.token import TokenHolder, tokens_of
from coco_sawtooth import messages
from coco_sawtooth.development import development_key, development_ledger
from coco_sawtooth.shell.processes import JAVASCRIPT, PYTHON, find_processor

T = TypeVar("T")

ROOT: Final = Path(__file__).resolve().parents[3]
EXAMPLES: Final = Path(__file__).resolve().parent
INTERPRETER: Final = ROOT / ".venv-sawtooth" / "bin" / "python"
NODES: Final = 3
SELLER: Final = bytes.fromhex("5e" * 20)
"""Where the seller is paid on Ethereum."""
TOKENS: Final = 120
PRICE: Final = 50
BATCH: Final = 100
ATTEMPTS: Final = 40
PAUSE_S: Final = 0.5
SOON_S: Final = 0.01


@attrs.define(kw_only=True)
class Story(Telling):
    """The network, the processors on it, and who trades."""

    network: LocalNetwork
    folder: Path
    processors: dict[int, list[trio.Process]] = attrs.field(factory=dict)
    buyer: TokenHolder
    batches: int = 0

    @property
    def key(self) -> Path:
        """The file with the Sawtooth client's key."""
        return self.folder / "client.priv"

    async def client(self, *words: str) -> str:
        """Run the SDK client; return what it prints."""
        command = [INTERPRETER, EXAMPLES / "python" / "intkey_client.py", self.key, *words]
        done = await trio.run_process([str(word) for word in command], capture_stdout=True)
        return done.stdout.decode().strip()

    async def batch(self, *orders: str) -> Path:
        """Have the SDK client sign a batch; return the file that holds it."""
        self.batches += 1
        file = self.folder / f"batch-{self.batches}"
        await self.client("batch", str(file), *orders)
        return file

    async def taken(self, node: int, file: Path) -> None:
        """Return once a node tells that it has a batch: whoever leads has it executed at once."""
        raw = await trio.Path(file).read_bytes()
        identifier = messages.Batch.FromString(raw).header_signature
        info = self.network.nodes[node].info
        async with await Connection.open(info["rpc"]["sawtooth"], None) as connection:
            while True:
                answer = await connection.request("GET", f"/batch_statuses?id={identifier}")
                [status] = json.loads(answer.body)["data"]
                if status["status"] != "UNKNOWN":
                    return
                await trio.sleep(SOON_S)

    async def submit(self, node: int, *orders: str) -> str:
        """Submit one batch through a node's REST API; return how it ended.

        While nodes agree on who leads, its fate may not be known: then the same batch is sent again, as any
        Sawtooth client may, for it is executed once.
        """
        return await self.submit_file(node, await self.batch(*orders))

    async def submit_file(self, node: int, file: Path) -> str:
        """Submit the batch in a file, as ``submit`` does."""
        ended = ""
        for _ in range(ATTEMPTS):
            ended = await self.client("submit", self.url(node), str(file))
            if ended.startswith(("COMMITTED", "INVALID")):
                break
            await trio.sleep(PAUSE_S)
        return ended

    async def show(self, node: int, name: str) -> str:
        """Return a number as a node tells it."""
        return await self.client("show", self.url(node), name)

    def url(self, node: int) -> str:
        """Return a node's REST API."""
        return f"http://{self.network.nodes[node].info['rpc']['sawtooth']}"

    async def primary(self) -> LocalNode:
        """Return the node that leads, as soon as one does."""
        while True:
            alive = [self.network.nodes[index] for index in self.alive]
            leaders = [node for node in alive if node.role == "leader"]
            if leaders:
                return max(leaders, key=lambda node: node.view)
            await trio.sleep(PAUSE_S)

    @property
    def alive(self) -> list[int]:
        """The nodes that run."""
        return [node.index for node in self.network.nodes if not node.ended.is_set()]

    async def start_processor(self, node: int, *, javascript: bool = False) -> None:
        """Start a processor that connects to a node."""
        one = find_processor("", JAVASCRIPT if javascript else PYTHON).companion(self.endpoint(node))
        with (self.folder / "processors.log").open("ab") as log:
            process = await trio.lowlevel.open_process(
                list(one.command), stdout=log, stderr=log, env=dict(one.environment or {})
            )
        self.processors.setdefault(node, []).append(process)

    def endpoint(self, node: int) -> str:
        """Return where a node listens for processors."""
        return f"ipc://{self.folder}/p{node}"

    def stop_processors(self) -> None:
        """End every processor."""
        for process in [one for ones in self.processors.values() for one in ones]:
            if process.returncode is None:
                process.kill()

    async def pay_and_hand_over(self, node: int, amount: int, *orders: str) -> CommittedBundle:
        """Submit a bundle: tokens of the buyer's, and a Sawtooth batch of the seller's."""
        pays = self.buyer.payment(SELLER, amount)
        batch = await self.batch(*orders)
        parts = [BundlePart("ethereum", pays), BundlePart("sawtooth", batch.read_bytes())]
        bundle = await commit_bundle(self.network, node, parts)
        self.buyer.made()
        return bundle

    async def tokens(self, node: int) -> int:
        """Return how many tokens the buyer has."""
        info = self.network.nodes[node].info
        async with await Connection.open(info["rpc"]["ethereum"], None) as connection:
            return await tokens_of(self.buyer.address, connection)


async def tell(story: Story) -> None:
    """Tell the whole story."""
    async with running(story.network):
        try:
            await work_is_done(story)
            await processors_die(story)
            await nodes_die(story)
            await ledgers_trade(story)
        finally:
            story.stop_processors()


async def work_is_done(story: Story) -> None:
    """Processors execute what clients send, and every node tells the same."""
    story.heading(f"{NODES} nodes run Ethereum and Sawtooth; processors of the published SDK come to each")
    try:
        javascript = bool(find_processor("", JAVASCRIPT))
    except OperatorError:
        javascript = False
    for node in range(NODES):
        await story.start_processor(node)
        await story.start_processor(node, javascript=javascript)
    languages = "Python and JavaScript" if javascript else "Python (no Node.js here)"
    story.true(f"two integer-key processors at each node, in {languages}", True)
    ended = await story.submit(1, "set:widgets-seller:3", "set:widgets-buyer:0", "set:count:0")
    story.true(f"a client of the SDK submits a batch to node 1: {ended}", ended == "COMMITTED")
    shown = [await read(partial(story.show, node, "widgets-seller"), "3") for node in range(NODES)]
    story.true(f"every node's REST API tells {shown[0]} widgets of the seller's", set(shown) == {"3"})
    started = time.perf_counter()
    ended = await story.submit(2, *[f"set:n{number}:{number}" for number in range(BATCH)])
    seconds = time.perf_counter() - started
    story.true(f"a batch of {BATCH} transactions, client and all, in {seconds:.2f} s", ended == "COMMITTED")
    ended = await story.submit(0, "inc:count:5", "dec:count:100")
    story.true(f"a batch of which one is not valid: {ended}", ended.startswith("INVALID"))
    story.true("nothing of it took effect", await story.show(0, "count") == "0")


async def processors_die(story: Story) -> None:
    """A processor is killed with work on its hands; another goes on."""
    story.heading("A processor is killed in the middle of a batch")
    victim = story.processors[(await story.primary()).index][0]
    endings: list[str] = []
    file = await story.batch(*["inc:count:1"] * BATCH)
    async with trio.open_nursery() as nursery:

        async def work() -> None:
            endings.append(await story.submit_file(0, file))

        nursery.start_soon(work)
        await story.taken(0, file)
        victim.send_signal(signal.SIGKILL)
    story.true(f"the batch ends: {endings[0]}", endings[0] == "COMMITTED")
    count = await read(partial(story.show, story.alive[-1], "count"), str(BATCH))
    story.true(f"each of its {BATCH} transactions counted once", count == str(BATCH))


async def nodes_die(story: Story) -> None:
    """The primary is killed under load; another leads, with processors of its own."""
    primary = (await story.primary()).index
    story.heading(f"The primary (node {primary}) is killed")
    story.network.kill(primary)
    await story.network.nodes[primary].ended.wait()
    ended = await story.submit(story.alive[0], "inc:count:100")
    story.true(f"a node that is left leads, and its processors work: {ended}", ended == "COMMITTED")
    expected = str(BATCH + 100)
    shown = [await read(partial(story.show, node, "count"), expected) for node in story.alive]
    story.true(f"both tell the same count, {shown[0]}", set(shown) == {expected})


async def ledgers_trade(story: Story) -> None:
    """Tokens of an Ethereum contract for widgets of Sawtooth's, in one request."""
    story.heading("An ERC-20 payment and a Sawtooth asset change hands together, or not at all")
    one, other = story.alive
    trade = ["dec:widgets-seller:1", "inc:widgets-buyer:1"]
    bundle = await story.pay_and_hand_over(one, PRICE, *trade)
    places = ", ".join(map(str, bundle.transaction_ids))
    story.true(f"bundle {bundle.txid} is committed with {places}; one receipt proves both", True)
    await holdings(story, other, TOKENS - PRICE, "1")
    for amount, orders, what in (
        (TOKENS, trade, "a payment beyond what the buyer has"),
        (PRICE, ["dec:widgets-seller:9", "inc:widgets-buyer:9"], "nine widgets, of the two there are"),
    ):
        try:
            await story.pay_and_hand_over(other, amount, *orders)
        except RejectedError as error:
            story.true(f"{what}: refused ({error})", True)
        else:
            story.true(f"{what}: refused", False)
        await holdings(story, one, TOKENS - PRICE, "1")


async def read(ask: Callable[[], Awaitable[T]], expected: T) -> T:
    """Return what is read, once it is ``expected``: one node may hear of a commit after another."""
    found = await ask()
    for _ in range(ATTEMPTS):
        if found == expected:
            break
        await trio.sleep(PAUSE_S)
        found = await ask()
    return found


async def holdings(story: Story, node: int, tokens: int, widgets: str) -> None:
    """Say what the buyer has, as a node tells."""

    async def held() -> tuple[int, str]:
        return await story.tokens(node), await story.show(node, "widgets-buyer")

    found = await read(held, (tokens, widgets))
    what = f"node {node} tells {found[0]} tokens and {found[1]} widget of the buyer's"
    story.true(what, found == (tokens, widgets))


def main(arguments: Sequence[str]) -> int:
    """Tell the story in a temporary folder; return the exit status."""
    del arguments
    console = Console(highlight=False)
    try:
        find_processor("", PYTHON)
    except OperatorError as error:
        console.print(str(error))
        return 1
    buyer = TokenHolder(TOKENS)
    with tempfile.TemporaryDirectory(prefix="coco-") as temporary:
        folder = Path(temporary)
        spec = NetworkSpec(
            folder=folder,
            nodes=NODES,
            ledger="ethereum",
            engine="",
            config=buyer.genesis(),
            beside={"sawtooth": LedgerSpec(config=development_ledger().config)},
            node_settings={"sawtooth": lambda index: {"processors": f"ipc://{folder}/p{index}"}},
        )
        story = Story(console=console, network=LocalNetwork(spec), folder=folder, buyer=buyer)
        story.key.write_text(development_key(1).hex())
        try:
            tell_and_audit(console, story.network, partial(tell, story))
        except CocoError as error:
            console.print(f"[red]{error}[/]")
            return 1
    console.print(ENDED)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
