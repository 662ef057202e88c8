"""Reading a folder of recorded transactions (its README.md describes the files). Knows files only."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path
from typing import Any

import attrs
import orjson

from coco_core.errors import OperatorError


@attrs.frozen(kw_only=True)
class Recording:
    """Transactions in order, the genesis they are valid over, and what they must lead to."""

    genesis: dict[str, Any]
    environment: dict[str, Any]
    """Fixed environments and totals (``s1.env.json``)."""
    transactions: list[dict[str, Any]]
    final: dict[str, Any]
    """Final state as changes against the genesis, by environment."""


def read_recording(folder: str) -> Recording:
    """Read the stream ``s1`` in ``folder``. Raises OperatorError for a missing or malformed file."""
    path = Path(folder)
    try:
        return Recording(
            genesis=orjson.loads(lzma.decompress((path / "s1.genesis.json.xz").read_bytes())),
            environment=orjson.loads((path / "s1.env.json").read_bytes()),
            transactions=[
                orjson.loads(line)
                for line in gzip.decompress((path / "s1.txs.jsonl.gz").read_bytes()).splitlines()
            ],
            final=orjson.loads(gzip.decompress((path / "s1.postdiff.json.gz").read_bytes())),
        )
    except (OSError, EOFError, lzma.LZMAError, orjson.JSONDecodeError) as error:
        raise OperatorError(f"recorded transactions in {folder}: {error}") from error
