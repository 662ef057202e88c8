"""Ethereum on the Coco Framework: EVM execution, blocks and JSON-RPC as a ledger adapter."""

from coco_ethereum.identity import NAME, VERSION

__all__ = ["NAME", "VERSION"]
