"""The adapter against its contract: outcomes, blocks, deferral, claims, duplicates."""

from __future__ import annotations

import hashlib

import attrs
import pytest

from coco_core.adapter import Applied, Batch, Deferred, Rejected, Request, merge
from coco_core.errors import IntegrityError
from coco_core.kv import Store
from coco_ethereum import adapter as adapter_module
from coco_ethereum.adapter import GAS_LIMIT, EthereumAdapter, receipt_claims
from coco_ethereum.blocks import Header, block_hashes, read_head
from coco_ethereum.development import development_ledger
from coco_ethereum.limits import BLOCK_GAS_MIN
from coco_ethereum.receipts import decode_receipt
from coco_ethereum.records import ACCOUNTS, BLOCKS, HEAD, TRANSACTIONS, Block, Transaction, number_key
from coco_ethereum.testing.assembly import assemble, initcode, return_word
from coco_ethereum.transactions import transaction_hash

ENDLESS_LOOP = bytes.fromhex("5b5f56")


def batch_of(ledger, *payloads, time_ms=1_800_000_000_000, configuration=None):
    return Batch(
        configuration=configuration or {},
        requests=tuple(map(Request, payloads)),
        view=2,
        first_seqno=ledger.status().committed_seqno + 1,
        time_ms=time_ms,
        randomness=b"\x07" * 32,
    )


async def execute(ledger, *payloads, **fields):
    return await ledger.adapter.execute(batch_of(ledger, *payloads, **fields), ledger.store.head())


async def test_a_batch_becomes_one_block(any_ledger):
    ledger = any_ledger
    raws = [ledger.alice.sign(value=1), ledger.bob.sign(value=2), ledger.alice.sign(value=3)]
    result = await execute(ledger, *raws)
    assert [type(outcome) for outcome in result.outcomes] == [Applied] * 3
    for index, (raw, outcome) in enumerate(zip(raws, result.outcomes, strict=True)):
        assert outcome.receipt == transaction_hash(raw)
        record = Transaction.unpack(outcome.writes[TRANSACTIONS][outcome.receipt])
        assert (record.number, record.index, record.raw, record.gas_used) == (1, index, raw, 21_000)
        assert decode_receipt(record.receipt).cumulative_gas_used == 21_000 * (index + 1)
        assert outcome.claims == receipt_claims(outcome.receipt, record.receipt)
        assert BLOCKS not in outcome.writes
        assert HEAD not in outcome.writes
    block = Block.unpack(result.closing[BLOCKS][number_key(1)])
    header = Header.decode(block.header)
    assert block.transactions == tuple(map(transaction_hash, raws))
    assert block.first_seqno == ledger.status().committed_seqno + 1
    assert header.parent_hash == read_head(ledger.view()).hash
    assert (header.gas_used, header.timestamp, header.prev_randao) == (63_000, 1_800_000_000, b"\x07" * 32)
    assert header.transactions_root == ledger.adapter._engine.ordered_trie_root(raws)


async def test_the_gas_limit_moves_towards_what_the_consortium_wants(any_ledger):
    async def limit_of(wanted):
        raw = any_ledger.alice.sign(value=1)
        result = await execute(any_ledger, raw, configuration={GAS_LIMIT: wanted})
        return Header.decode(Block.unpack(result.closing[BLOCKS][number_key(1)]).header).gas_limit

    genesis = 30_000_000
    most = genesis // 1024 - 1
    wanted = [BLOCK_GAS_MIN, genesis - 5, genesis, genesis + 5, 2 * genesis]
    found = [genesis - most, genesis - 5, genesis, genesis + 5, genesis + most]
    for one, limit in zip(wanted, found, strict=True):
        any_ledger.alice.nonce = 0
        assert await limit_of(one) == limit


async def test_an_auditor_executes_anew(any_ledger):
    ledger = any_ledger
    entries, before = [], {}
    for number, limit in enumerate((29_990_000, 30_010_000)):
        raws = [ledger.alice.sign(value=1), ledger.bob.sign(value=2 + number)]
        head = ledger.store.head().over(before)
        batch = attrs.evolve(
            batch_of(ledger, *raws, configuration={GAS_LIMIT: limit}), first_seqno=9 + number
        )
        result = await ledger.adapter.execute(batch, head)
        run = [*(outcome.writes for outcome in result.outcomes), result.closing]
        for writes in run:
            merge(before, writes)
        entries += run
    view = ledger.store.head()
    assert await ledger.adapter.replay(entries, view) == entries
    forged = [*entries]
    forged[1] = {**forged[1], ACCOUNTS: {bytes(20): b""}}
    assert await ledger.adapter.replay(forged, view) != forged
    with pytest.raises(IntegrityError, match="without a block"):
        await ledger.adapter.replay(entries[:-1], view)
    with pytest.raises(IntegrityError, match="cannot have been executed"):
        await ledger.adapter.replay(entries[3:], view)
    with pytest.raises(IntegrityError, match="removes a block"):
        await ledger.adapter.replay([{BLOCKS: {number_key(1): None}}], view)


async def test_execution_is_deterministic(any_ledger):
    raws = [any_ledger.alice.sign(value=1), any_ledger.bob.sign(value=2)]
    first, second = await execute(any_ledger, *raws), await execute(any_ledger, *raws)
    assert first == second


def test_claims_are_a_stable_format():
    expected = hashlib.sha256(b"coco.ethereum.receipt.v1" + b"\x01" * 32 + b"receipt").digest()
    assert receipt_claims(b"\x01" * 32, b"receipt") == expected


async def test_nothing_applied_makes_no_block(ledger):
    result = await execute(ledger, ledger.alice.sign(nonce=5), b"\x05nonsense")
    assert [outcome.code for outcome in result.outcomes] == ["nonce-too-high", "type-not-supported"]
    assert not result.closing
    assert (await ledger.ok("eth_blockNumber")) == "0x0"


async def test_a_transaction_sent_twice_is_known(ledger):
    raw = ledger.alice.sign(value=1)
    twice = await execute(ledger, raw, raw)
    assert twice.outcomes[1] == Rejected("already-known", "already known", transaction_hash(raw))
    await ledger.ok("eth_sendRawTransaction", "0x" + raw.hex())
    again = await execute(ledger, raw)
    assert again.outcomes == [Rejected("already-known", "already known", transaction_hash(raw))]
    other = await execute(ledger, ledger.alice.sign(nonce=0, value=2))
    assert other.outcomes[0].code == "nonce-too-low"


async def test_what_does_not_fit_is_deferred_with_what_follows_from_it(ledger):
    # Alice burns 20 of the block's 30 million gas; Bob's limit no longer fits, and so neither does
    # what comes after it from him. Carol's transaction does.
    requests = [
        ledger.alice.sign(to=None, data=ENDLESS_LOOP, gas_limit=20_000_000),
        ledger.bob.sign(gas_limit=20_000_000),
        ledger.bob.sign(value=1),
        ledger.carol.sign(value=1),
    ]
    result = await execute(ledger, *requests)
    assert [type(outcome) for outcome in result.outcomes] == [Applied, Deferred, Deferred, Applied]


async def test_deferred_requests_come_first_in_the_next_block(ledger):
    loop = {"to": None, "data": ENDLESS_LOOP, "gas_limit": 20_000_000}
    fates = await ledger.submit(
        [ledger.alice.sign(**loop), ledger.bob.sign(**loop), ledger.bob.sign(value=1)]
    ).wait()
    assert [await ledger.ok("eth_getTransactionReceipt", "0x" + fate.receipt.hex()) for fate in fates]
    assert (await ledger.ok("eth_blockNumber")) == "0x2"
    assert (await ledger.ok("eth_getBlockTransactionCountByNumber", "0x2")) == "0x2"


async def test_a_transaction_that_writes_too_much_is_refused_alone(any_ledger, monkeypatch):
    ledger = any_ledger
    monkeypatch.setattr(adapter_module, "TRANSACTION_WRITES_SIZE_MAX_BYTES", 4_000)
    log_much = assemble(5_000, 0, "LOG0")
    raws = [
        ledger.alice.sign(value=1),
        ledger.bob.sign(to=None, data=log_much),
        ledger.bob.sign(value=1),
        ledger.carol.sign(value=1),
    ]
    result = await execute(ledger, *raws)
    applied, refused, *put_off = result.outcomes
    assert isinstance(applied, Applied)
    assert isinstance(refused, Rejected)
    assert (refused.code, refused.data) == ("writes-too-large", transaction_hash(raws[1]))
    assert put_off == [Deferred(), Deferred()]
    block = Block.unpack(result.closing[BLOCKS][number_key(1)])
    assert block.transactions == (transaction_hash(raws[0]),)
    alone = await execute(ledger, raws[1])
    assert [type(each) for each in alone.outcomes] == [Rejected]
    assert not alone.closing


async def test_log_indexes_count_through_the_block(ledger):
    # log0(0, 0) twice, then stop.
    address = await ledger.deploy(ledger.alice, initcode(bytes.fromhex("5f5fa05f5fa000")))
    target = bytes.fromhex(address[2:])
    raws = [ledger.bob.sign(to=target), ledger.carol.sign(to=target)]
    hashes = [fate.receipt for fate in await ledger.submit(raws).wait()]
    receipts = [await ledger.ok("eth_getTransactionReceipt", "0x" + each.hex()) for each in hashes]
    assert [log["logIndex"] for receipt in receipts for log in receipt["logs"]] == [
        "0x0",
        "0x1",
        "0x2",
        "0x3",
    ]
    assert [receipt["transactionIndex"] for receipt in receipts] == ["0x0", "0x1"]


async def test_blockhash_reads_our_own_blocks(any_ledger):
    ledger = any_ledger
    # The program returns the hash of the block before the one it runs in.
    code = return_word(1, "NUMBER SUB BLOCKHASH")
    address = await ledger.deploy(ledger.alice, initcode(code))
    expected = (await ledger.ok("eth_getBlockByNumber", "0x0", False))["hash"]
    assert await ledger.ok("eth_call", {"to": address}, "latest") == expected
    hashes = block_hashes(ledger.view())
    assert (hashes(0).hex(), hashes(-1), hashes(99)) == (expected[2:], bytes(32), bytes(32))


async def test_the_fixed_environment_is_what_contracts_see(make_ledger):
    environment = {
        "number": 777,
        "timestamp": 1_234,
        "coinbase": "0x" + "c0" * 20,
        "prevrandao": "0x" + "09" * 32,
        "basefee": 0,
        "gaslimit": 30_000_000,
    }
    config = {**development_ledger().config, "coco": {"constEnv": environment}}
    ledger = make_ledger(config)
    address = await ledger.deploy(ledger.alice, initcode(return_word("NUMBER")))
    assert int(await ledger.ok("eth_call", {"to": address}), 16) == 777
    block = await ledger.ok("eth_getBlockByNumber", "latest", False)
    assert (block["number"], block["timestamp"] != hex(1_234)) == ("0x1", True)


async def test_a_state_without_genesis_is_an_integrity_fault(engine, ledger):
    with pytest.raises(IntegrityError, match="no Ethereum chain configuration"):
        await EthereumAdapter(engine).execute(batch_of(ledger), Store().head())
