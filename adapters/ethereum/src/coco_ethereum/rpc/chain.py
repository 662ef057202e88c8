"""Methods about the chain and this node: identity, head, health."""

from __future__ import annotations

from typing import Final

from coco_ethereum.identity import VERSION
from coco_ethereum.rpc import values
from coco_ethereum.rpc.params import Params
from coco_ethereum.rpc.reading import Reading

CLIENT_NAME: Final = "Coco"


def client_version(reading: Reading, params: Params) -> object:
    """web3_clientVersion: the node's software, in geth's ``name/version/engine`` form."""
    params.bounds(0, 0)
    return f"{CLIENT_NAME}/v{VERSION}/{reading.engine.name}-{reading.engine.version}"


def sha3(reading: Reading, params: Params) -> object:
    """web3_sha3: Keccak-256 of some bytes."""
    params.bounds(1, 1)
    return values.data(reading.engine.keccak256(params.at(0, values.read_data)))


def network_id(reading: Reading, params: Params) -> object:
    """net_version: the chain ID in decimal; there is no other network ID."""
    params.bounds(0, 0)
    return str(reading.chain.chain_id)


def listening(reading: Reading, params: Params) -> object:
    """net_listening: a node that answers listens."""
    params.bounds(0, 0)
    return True


def peer_count(reading: Reading, params: Params) -> object:
    """net_peerCount: Ethereum peers, of which a consortium's node has none."""
    params.bounds(0, 0)
    return "0x0"


def chain_id(reading: Reading, params: Params) -> object:
    """eth_chainId (EIP-695)."""
    params.bounds(0, 0)
    return values.quantity(reading.chain.chain_id)


def block_number(reading: Reading, params: Params) -> object:
    """eth_blockNumber: the newest committed block."""
    params.bounds(0, 0)
    return values.quantity(reading.head.number)


def syncing(reading: Reading, params: Params) -> object:
    """eth_syncing: false; a node that is catching up does not serve clients."""
    params.bounds(0, 0)
    return False


def accounts(reading: Reading, params: Params) -> object:
    """eth_accounts: none; the node never holds a client's key."""
    params.bounds(0, 0)
    return []


def pool_status(reading: Reading, params: Params) -> object:
    """txpool_status: nothing waits; a transaction is committed or refused when it is answered."""
    params.bounds(0, 0)
    return {"pending": "0x0", "queued": "0x0"}


METHODS: Final = {
    "eth_accounts": accounts,
    "eth_blockNumber": block_number,
    "eth_chainId": chain_id,
    "eth_syncing": syncing,
    "net_listening": listening,
    "net_peerCount": peer_count,
    "net_version": network_id,
    "txpool_status": pool_status,
    "web3_clientVersion": client_version,
    "web3_sha3": sha3,
}
