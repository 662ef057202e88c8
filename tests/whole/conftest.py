"""A network of real processes for tests that only talk to it, and what offline checks of ledgers need."""

from __future__ import annotations

import contextlib
import datetime
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_hash.auto import keccak

from coco_core.cli.ledger import audit_folder, chunks
from coco_core.client import pinned_context
from coco_core.crypto import PrivateKey, self_signed
from coco_core.ledger import AuditReport, parse_chunk, read_public
from coco_ethereum.workloads.assembler import assemble

ROOT = Path(__file__).resolve().parents[2]
READER = ROOT / "tests" / "ledger" / "independent_reader.py"
STOP_TIMEOUT_S = 30


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Any]]:
    """``coco up`` as a person would run it: what it printed, until the tests are over.

    Ctrl-C must then end it with success, its nodes gone.
    """
    folder = tmp_path_factory.mktemp("up") / "network"
    process = subprocess.Popen(
        [sys.executable, "-m", "coco_core", "up", "--json", "--rpc-port", "0", "--dir", str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, f"coco up ended with {process.wait()}"
            printed = json.loads(line)
            yield printed
        finally:
            process.send_signal(signal.SIGINT)
            try:
                code = process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
    assert code == 0
    for node in printed["nodes"]:
        with pytest.raises(ProcessLookupError):
            os.kill(node["pid"], 0)


@pytest.fixture(scope="session")
def read_independently() -> Callable[[Path], dict[str, Any]]:
    """Read a ledger folder with the ``ccf`` package, which we did not write, at its highest level."""
    named = os.environ.get("COCO_CCF_PYTHON")
    python = Path(named) if named else ROOT / ".venv-ccf" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no interpreter with the ccf package at {python}; set COCO_CCF_PYTHON")

    def read(folder: Path) -> dict[str, Any]:
        done = subprocess.run(
            [python, READER, folder, "FULL"],
            capture_output=True,
            check=False,
            env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return read


class OfflineLedger:
    """A node's ledger folder, audited against a pinned service identity, and the entries in it."""

    def __init__(self, folder: Path, service_certificate: str) -> None:
        self.report: AuditReport = audit_folder(folder, service_certificate)
        self.entries = [
            bytes(raw) for name, data in chunks(folder) for _, raw in parse_chunk(name, data).entries()
        ]
        self.txids = {str(read_public(raw).txid) for raw in self.entries}


@pytest.fixture(scope="session")
def offline_ledger() -> Callable[[Path, str], OfflineLedger]:
    """Audit and read a ledger folder; raises IntegrityError when it does not hold."""
    return OfflineLedger


KEEPER = """
    0 CALLDATALOAD 224 SHR
    DUP1 {set} EQ @set JUMPI
    DUP1 {get} EQ @get JUMPI
    DUP1 {fail} EQ @fail JUMPI
    DUP1 {refuse} EQ @refuse JUMPI
    DUP1 {overflow} EQ @overflow JUMPI
    0 0 REVERT

get:        0 SLOAD 0 MSTORE 32 0 RETURN
set:                                        ; emits Kept(caller, value)
    4 CALLDATALOAD DUP1 0 SSTORE 0 MSTORE
    CALLER {Kept} 32 0 LOG2
    0 0 RETURN
fail:                                       ; Error("out of luck")
    0x08c379a0 224 SHL 0 MSTORE 32 4 MSTORE 11 36 MSTORE
    0x6f7574206f66206c75636b 168 SHL 68 MSTORE
    100 0 REVERT
refuse:                                     ; Refused(caller, value)
    {Refused} 224 SHL 0 MSTORE CALLER 4 MSTORE 4 CALLDATALOAD 36 MSTORE
    68 0 REVERT
overflow:                                   ; Panic(0x11)
    0x4e487b71 224 SHL 0 MSTORE 17 4 MSTORE
    36 0 REVERT
"""
"""A contract that keeps one number: what a compiler would make, as readable assembly."""

KEEPER_ABI = [
    {
        "type": "constructor",
        "inputs": [{"name": "first", "type": "uint256"}],
        "stateMutability": "nonpayable",
    },
    *(
        {
            "type": "function",
            "name": name,
            "inputs": [{"name": "value", "type": "uint256"}] if takes_value else [],
            "outputs": [{"name": "", "type": "uint256"}] if name == "get" else [],
            "stateMutability": mutability,
        }
        for name, takes_value, mutability in (
            ("set", True, "nonpayable"),
            ("get", False, "view"),
            ("fail", False, "nonpayable"),
            ("refuse", True, "nonpayable"),
            ("overflow", False, "nonpayable"),
        )
    ),
    {
        "type": "event",
        "name": "Kept",
        "anonymous": False,
        "inputs": [
            {"name": "who", "type": "address", "indexed": True},
            {"name": "value", "type": "uint256", "indexed": False},
        ],
    },
    {
        "type": "error",
        "name": "Refused",
        "inputs": [{"name": "who", "type": "address"}, {"name": "value", "type": "uint256"}],
    },
]


@pytest.fixture(scope="session")
def keeper() -> Mapping[str, Any]:
    """The ABI and creation bytecode of a contract, as a compiler would print them."""

    def digest(signature: str, size: int) -> str:
        return "0x" + keccak(signature.encode())[:size].hex()

    code = assemble(
        KEEPER.format(
            set=digest("set(uint256)", 4),
            get=digest("get()", 4),
            fail=digest("fail()", 4),
            refuse=digest("refuse(uint256)", 4),
            overflow=digest("overflow()", 4),
            Kept=digest("Kept(address,uint256)", 32),
            Refused=digest("Refused(address,uint256)", 4),
        )
    )
    # CODECOPY the constructor's argument from the end, SSTORE it in slot 0, CODECOPY the code, RETURN it.
    creation = bytes.fromhex("6020602038035f395f515f55") + b"\x61" + len(code).to_bytes(2)
    creation += bytes.fromhex("8060165f395ff3") + code
    return {"abi": KEEPER_ABI, "bytecode": "0x" + creation.hex()}


@pytest.fixture(scope="session")
def service_like() -> Callable[[PrivateKey], str]:
    """Make a certificate that looks as a service's does, of a key that is no service's."""

    def make(key: PrivateKey) -> str:
        start, end = (datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) for year in (2020, 2090))
        return self_signed(key, "Coco Service", not_before=start, not_after=end, ca=True, sans=("127.0.0.1",))

    return make


TIMEOUT_S = 60
CHAIN_ID = 1337
NODES = 3
USED_ACCOUNT = 8


def call(method: str, *params: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


class LiveNetwork:
    """The running network as a plain client sees it: bodies and answers, nothing of ours between."""

    def __init__(self, up: Mapping[str, Any]) -> None:
        self.up = up
        self.accounts = [each["address"] for each in up["development"]["accounts"]]

    def address(self, node: int, interface: str = "rpc") -> tuple[str, int]:
        host, _, port = self.up["nodes"][node][interface].partition("://")[2].rpartition(":")
        return host, int(port)

    def peer_address(self, node: int) -> tuple[str, int]:
        known = self.admin(node, "/node/network")["nodes"]
        host, _, port = known[self.up["nodes"][node]["node_id"]]["peer_address"].rpartition(":")
        return host, int(port)

    def post(self, node: int, body: bytes, content_type: str = "application/json") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(*self.address(node), timeout=TIMEOUT_S)
        with contextlib.closing(connection):
            connection.request("POST", "/", body, {"content-type": content_type})
            response = connection.getresponse()
            return response.status, response.read()

    def error(self, node: int, body: bytes) -> dict[str, Any]:
        status, answer = self.post(node, body)
        assert status == 200
        error: dict[str, Any] = json.loads(answer)["error"]
        return error

    def call(self, node: int, method: str, *params: object) -> Any:
        status, answer = self.post(node, call(method, *params))
        assert status == 200
        return json.loads(answer)["result"]

    def admin(self, node: int, target: str) -> dict[str, Any]:
        context = pinned_context(self.up["service_certificate"])
        connection = http.client.HTTPSConnection(
            *self.address(node, "admin"), timeout=TIMEOUT_S, context=context
        )
        with contextlib.closing(connection):
            connection.request("GET", target)
            found: dict[str, Any] = json.loads(connection.getresponse().read())
            return found

    def reading(self, node: int) -> object:
        questions = [("eth_getBlockByNumber", "latest", False)]
        questions += [("eth_getBalance", each, "latest") for each in self.accounts]
        questions += [("eth_getTransactionCount", each, "latest") for each in self.accounts]
        _, answer = self.post(node, b"[" + b",".join(call(*each) for each in questions) + b"]")
        return [each["result"] for each in json.loads(answer)]

    def sign(self, account: int, **changes: object) -> bytes:
        """Sign a transfer of one wei by a development account to itself."""
        signer = Account.from_key(self.up["development"]["accounts"][account]["privateKey"])
        fields = {
            "chainId": CHAIN_ID,
            "nonce": 0,
            "to": signer.address,
            "value": 1,
            "gas": 21_000,
            "maxFeePerGas": 10**10,
            "maxPriorityFeePerGas": 0,
        }
        if "gasPrice" in changes:
            del fields["maxFeePerGas"], fields["maxPriorityFeePerGas"]
        return bytes(signer.sign_transaction({**fields, **changes}).raw_transaction)

    def send_and_wait(self, account: int) -> None:
        """Send a transaction through the last node and wait until all nodes have it."""
        nonce = int(self.call(-1, "eth_getTransactionCount", self.accounts[account], "latest"), 16)
        sent = self.call(-1, "eth_sendRawTransaction", "0x" + self.sign(account, nonce=nonce).hex())
        assert self.call(-1, "eth_getTransactionReceipt", sent)["status"] == "0x1"
        newest = self.admin(-1, "/node/commit")["seqno"]
        for node in range(NODES):
            while self.admin(node, f"/node/commit?after={newest - 1}")["seqno"] < newest:
                pass


@pytest.fixture(scope="module")
def live(up: Mapping[str, Any]) -> Iterator[LiveNetwork]:
    """The network, which takes a good transaction before and after everything bad."""
    network = LiveNetwork(up)
    network.send_and_wait(USED_ACCOUNT)
    yield network
    network.send_and_wait(USED_ACCOUNT)


@pytest.fixture
def nothing_changes(live: LiveNetwork) -> Iterator[None]:
    """Two readings of the whole network, before and after the test, must be equal."""
    before = [live.reading(node) for node in range(NODES)]
    assert before[0] == before[1] == before[2]
    yield
    assert [live.reading(node) for node in range(NODES)] == before


@pytest.fixture(scope="session")
def exchange() -> Callable[[tuple[str, int], bytes], bytes]:
    """Send bytes and return all that comes back until the node closes, also when it closes early."""

    def run(address: tuple[str, int], data: bytes) -> bytes:
        received = b""
        with socket.create_connection(address, TIMEOUT_S) as connection:
            # What fails depends on how far the node got before it closed: a broken pipe, or not connected.
            with contextlib.suppress(OSError):
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError):
                while data := connection.recv(65_536):
                    received += data
        return received

    return run
