"""Ethereum's JSON-RPC over HTTP: what wallets, SDKs and explorers speak. Pure."""

from coco_ethereum.rpc.errors import revert_reason
from coco_ethereum.rpc.outside import Outside
from coco_ethereum.rpc.server import RPCServer

__all__ = ["Outside", "RPCServer", "revert_reason"]
