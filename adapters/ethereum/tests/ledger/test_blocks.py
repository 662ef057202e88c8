"""Headers: the same bytes, and so the same hashes, as the chain recorded by execution-apis."""

from __future__ import annotations

import tarfile

import orjson
import pytest
import rlp
from eth_hash.auto import keccak

from coco_core.errors import IntegrityError
from coco_ethereum import blocks
from coco_ethereum.blocks import Header
from coco_ethereum.engine import BlockResult

RECORDED = {
    "shanghai": "eth_getBlockByNumber/get-block-shanghai-fork.io",
    "cancun": "eth_getBlockByNumber/get-block-cancun-fork.io",
    "prague": "eth_getBlockByNumber/get-block-prague-fork.io",
}


def recorded_result(shared, name):
    with tarfile.open(shared / "data/conformance/execution-apis-tests.tar.xz") as archive:
        text = archive.extractfile(f"tests/{name}").read()
    return orjson.loads(next(line[3:] for line in text.splitlines() if line.startswith(b"<< ")))["result"]


def number(text):
    return None if text is None else int(text, 16)


def data(text):
    return None if text is None else bytes.fromhex(text[2:])


def header_of(block):
    return Header(
        parent_hash=data(block["parentHash"]),
        coinbase=data(block["miner"]),
        state_root=data(block["stateRoot"]),
        transactions_root=data(block["transactionsRoot"]),
        receipts_root=data(block["receiptsRoot"]),
        logs_bloom=data(block["logsBloom"]),
        number=number(block["number"]),
        gas_limit=number(block["gasLimit"]),
        gas_used=number(block["gasUsed"]),
        timestamp=number(block["timestamp"]),
        extra_data=data(block["extraData"]),
        prev_randao=data(block["mixHash"]),
        base_fee=number(block["baseFeePerGas"]),
        withdrawals_root=data(block["withdrawalsRoot"]),
        blob_gas_used=number(block.get("blobGasUsed")),
        excess_blob_gas=number(block.get("excessBlobGas")),
        parent_beacon_root=data(block.get("parentBeaconBlockRoot")),
        requests_hash=data(block.get("requestsHash")),
    )


@pytest.mark.shared
@pytest.mark.parametrize("fork", RECORDED)
def test_a_recorded_header_hashes_to_its_block_hash(shared, fork):
    block = recorded_result(shared, RECORDED[fork])
    header = header_of(block)
    assert keccak(header.encode()) == data(block["hash"])
    assert Header.decode(header.encode()) == header


@pytest.mark.parametrize("fork", ["shanghai", "cancun", "prague", "osaka"])
async def test_own_headers_have_the_fields_of_their_fork(ledger, fork):
    chain = blocks.ChainConfig(
        chain_id=1, engine="x", forks=((fork, 0),), gas_limit=30_000_000, base_fee=7, coinbase=bytes(20)
    )
    header = blocks.next_header(chain, blocks.Head(0, 0, bytes(32)), 5_000, bytes(32))
    counts = {"shanghai": 17, "cancun": 20, "prague": 21, "osaka": 21}
    assert len(rlp.decode(header.encode())) == counts[fork]
    assert header.timestamp == 5


def test_time_never_runs_backwards():
    chain = blocks.ChainConfig(
        chain_id=1, engine="x", forks=(("shanghai", 0),), gas_limit=30_000_000, base_fee=7, coinbase=bytes(20)
    )
    parent = blocks.Head(4, 1_000, b"\x01" * 32)
    assert blocks.next_header(chain, parent, 999_999, bytes(32)).timestamp == 1_000
    assert blocks.next_header(chain, parent, 1_000_999, bytes(32)).timestamp == 1_000
    assert blocks.next_header(chain, parent, 1_001_000, bytes(32)).timestamp == 1_001


@pytest.mark.parametrize("sizes", [(), (10,), (55, 56, 57), (300, 70_000)])
def test_size_is_that_of_the_encoded_block(engine, sizes):
    legacy = [rlp.encode([bytes(size)]) for size in sizes]
    typed = [b"\x02" + rlp.encode([bytes(size)]) for size in sizes]
    header = Header(
        parent_hash=bytes(32),
        coinbase=bytes(20),
        number=1,
        gas_limit=1,
        timestamp=1,
        prev_randao=bytes(32),
        base_fee=0,
    )
    sealed = blocks.sealed(header, BlockResult([], 5, b"\x01" * 32, b"\x02" * 32, bytes(256)))
    whole = rlp.encode([rlp.decode(sealed.encode()), [rlp.decode(raw) for raw in legacy] + typed, [], []])
    batch = type("Batch", (), {"first_seqno": 3})
    writes = blocks.block_writes(sealed, batch, [*legacy, *typed], [bytes(32)] * 2 * len(sizes), engine)
    assert blocks.Block.unpack(writes[blocks.BLOCKS][bytes(7) + b"\x01"]).size == len(whole)


def test_a_header_of_another_shape_is_an_integrity_fault():
    with pytest.raises(IntegrityError, match="16 fields"):
        Header.decode(rlp.encode([b""] * 16))
