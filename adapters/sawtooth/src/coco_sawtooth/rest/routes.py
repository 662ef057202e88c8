"""Every route of Sawtooth's REST interface (1.2.6): which question it is, and how the answer is shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import attrs
from google.protobuf.message import DecodeError

from coco_core.adapter import HTTPResponse, transaction_ids
from coco_core.errors import BusyError, MalformedError
from coco_sawtooth import messages, queries
from coco_sawtooth.limits import (
    PLACES_TOLD_MAX,
    QUESTION_IDS_MAX,
    RECEIPTS_SIZE_MAX_BYTES,
    STATUS_IDS_MAX,
)
from coco_sawtooth.rest import errors, rendering
from coco_sawtooth.rest.calls import Call, check, checked_ids, content_type, page_of
from coco_sawtooth.rest.errors import RestError
from coco_sawtooth.rest.rendering import JSON, response

Handler = Callable[[Call], Awaitable[HTTPResponse]]


# --- batches on their way in -------------------------------------------------------------------------------


async def submit_batches(call: Call) -> HTTPResponse:
    """Take a BatchList."""
    if content_type(call.request) != "application/octet-stream":
        raise RestError(errors.BATCHES_TYPE)
    if not call.request.body:
        raise RestError(errors.NO_BATCHES)
    try:
        raws = [each.SerializeToString() for each in messages.BatchList.FromString(call.request.body).batches]
    except DecodeError:
        raise RestError(errors.UNDECODABLE) from None
    if not raws:
        raise RestError(errors.NO_BATCHES)
    try:
        ids = await call.intake.take(raws, call.request.caller)
    except MalformedError as error:
        raise RestError(errors.BATCHES_INVALID, f" ({error})") from None
    except BusyError as error:
        raise RestError(errors.QUEUE_FULL, f" ({error})") from None
    return response({"link": call.target.link("/batch_statuses", id=",".join(ids))}, 202)


async def list_statuses(call: Call) -> HTTPResponse:
    """Tell what became of the batches named in the query."""
    ids = call.ids(errors.STATUSES_ID)
    return await _statuses(call, ids, {"link": call.target.link()})


async def post_statuses(call: Call) -> HTTPResponse:
    """Tell what became of the batches named in the body."""
    ids = call.posted_ids(errors.STATUSES_TYPE, errors.STATUSES_BODY, STATUS_IDS_MAX)
    return await _statuses(call, ids, {})


async def _statuses(call: Call, ids: list[str], more: dict[str, JSON]) -> HTTPResponse:
    """Answer with statuses, and with the places in the core's ledger of batches this node saw committed.

    Places are in a header, and none is there for more batches than PLACES_TOLD_MAX.
    """
    try:
        found = await call.intake.statuses(ids, call.wait_s())
    except BusyError as error:
        raise RestError(errors.TIMED_OUT, f" {error}.") from None
    answer = await call.away(lambda: response({"data": [rendering.short(each) for each in found], **more}))
    if len(ids) > PLACES_TOLD_MAX:
        return answer
    committed = [each.batch_id for each in found if each.status == messages.ClientBatchStatus.COMMITTED]
    places = dict(zip(committed, await call.intake.places(committed), strict=True))
    if not any(places.values()):
        return answer
    return attrs.evolve(answer, headers=transaction_ids(map(places.get, ids)))


# --- state ------------------------------------------------------------------------------------------------


async def list_state(call: Call) -> HTTPResponse:
    """List the entries under a prefix."""
    head, root = await _head_and_root(call)
    question = messages.ClientStateListRequest(
        state_root=root,
        address=call.target.query.get("address", ""),
        paging=call.paging(),
        sorting=call.sorting("default"),
    )
    problems = {"INVALID_ADDRESS": errors.BAD_PREFIX, "NO_ROOT": errors.STATE_GONE}
    answer = await call.ask(queries.list_state, question, problems)
    return await call.away(
        lambda: response(page_of(call, answer, head, [rendering.plain(each) for each in answer.entries]))
    )


async def fetch_state(call: Call) -> HTTPResponse:
    """Show the value at an address."""
    head, root = await _head_and_root(call)
    question = messages.ClientStateGetRequest(state_root=root, address=call.item)
    problems = {
        "INVALID_ADDRESS": errors.BAD_ADDRESS,
        "NO_RESOURCE": errors.NO_STATE,
        "NO_ROOT": errors.STATE_GONE,
    }
    answer = await call.ask(queries.get_state, question, problems)
    data = rendering.plain(answer)["value"]
    return response({"data": data, "head": head, "link": call.target.link(head=head)})


async def _head_and_root(call: Call) -> tuple[str, str]:
    """Return the block whose state is asked for, and the state's root."""
    # An empty head is the newest one, here and nowhere else: so it is for a validator.
    head = call.head() if call.target.query.get("head") else ""
    if not head:
        newest = call.reading().head()
        return newest.id, newest.header.state_root_hash
    problems = {"NO_RESOURCE": errors.NO_BLOCK}
    answer = await call.ask(queries.block_by_id, messages.ClientBlockGetByIdRequest(block_id=head), problems)
    return head, messages.BlockHeader.FromString(answer.block.header).state_root_hash


# --- blocks, batches, transactions --------------------------------------------------------------------------


async def list_blocks(call: Call) -> HTTPResponse:
    """List blocks, the newest first."""
    question = messages.ClientBlockListRequest(
        head_id=call.head(), block_ids=call.ids(), paging=call.paging(), sorting=call.sorting("block_num")
    )
    answer = await call.ask(queries.list_blocks, question)
    return await call.away(
        lambda: response(page_of(call, answer, answer.head_id, [*map(rendering.block, answer.blocks)]))
    )


async def fetch_block(call: Call) -> HTTPResponse:
    """Show a block."""
    question = messages.ClientBlockGetByIdRequest(block_id=checked_ids([call.item])[0])
    answer = await call.ask(queries.block_by_id, question, {"NO_RESOURCE": errors.NO_BLOCK})
    return response({"data": rendering.block(answer.block), "link": call.target.link()})


async def list_batches(call: Call) -> HTTPResponse:
    """List batches, those of the newest block first."""
    question = messages.ClientBatchListRequest(
        head_id=call.head(), batch_ids=call.ids(), paging=call.paging(), sorting=call.sorting("default")
    )
    answer = await call.ask(queries.list_batches, question)
    return await call.away(
        lambda: response(page_of(call, answer, answer.head_id, [*map(rendering.batch, answer.batches)]))
    )


async def fetch_batch(call: Call) -> HTTPResponse:
    """Show a batch."""
    question = messages.ClientBatchGetRequest(batch_id=checked_ids([call.item])[0])
    answer = await call.ask(queries.batch_by_id, question, {"NO_RESOURCE": errors.NO_BATCH})
    return response({"data": rendering.batch(answer.batch), "link": call.target.link()})


async def list_transactions(call: Call) -> HTTPResponse:
    """List transactions, those of the newest block first."""
    question = messages.ClientTransactionListRequest(
        head_id=call.head(), transaction_ids=call.ids(), paging=call.paging(), sorting=call.sorting("default")
    )
    answer = await call.ask(queries.list_transactions, question)
    return await call.away(
        lambda: response(
            page_of(call, answer, answer.head_id, [*map(rendering.transaction, answer.transactions)])
        )
    )


async def fetch_transaction(call: Call) -> HTTPResponse:
    """Show a transaction."""
    question = messages.ClientTransactionGetRequest(transaction_id=checked_ids([call.item])[0])
    answer = await call.ask(queries.transaction_by_id, question, {"NO_RESOURCE": errors.NO_TRANSACTION})
    return response({"data": rendering.transaction(answer.transaction), "link": call.target.link()})


# --- receipts, and the node ---------------------------------------------------------------------------------


async def list_receipts(call: Call) -> HTTPResponse:
    """Show the receipts of the transactions named in the query."""
    data = await _receipts(call, call.ids(errors.RECEIPTS_ID))
    return response({"data": data, "link": call.target.link()})


async def post_receipts(call: Call) -> HTTPResponse:
    """Show the receipts of the transactions named in the body."""
    ids = call.posted_ids(errors.RECEIPTS_TYPE, errors.RECEIPTS_BODY, QUESTION_IDS_MAX)
    return response({"data": await _receipts(call, ids)})


async def _receipts(call: Call, ids: list[str]) -> list[JSON]:
    question = messages.ClientReceiptGetRequest(transaction_ids=ids)
    answer = await call.ask(queries.get_receipts, question, {"NO_RESOURCE": errors.NO_RECEIPT})
    if len(ids) > 1 and answer.ByteSize() > RECEIPTS_SIZE_MAX_BYTES:
        raise RestError(errors.RECEIPTS_BODY, f" These have more than {RECEIPTS_SIZE_MAX_BYTES} bytes.")
    return await call.away(lambda: [rendering.short(each) for each in answer.receipts])


async def fetch_peers(call: Call) -> HTTPResponse:
    """Show the endpoints of peers."""
    answer = queries.get_peers(call.reading(), messages.ClientPeersGetRequest())
    return response({"data": list(answer.peers), "link": call.target.link()})


async def fetch_status(call: Call) -> HTTPResponse:
    """Show what the node is."""
    answer = queries.get_status(call.reading(), messages.ClientStatusGetRequest())
    check(answer)
    data = {"endpoint": answer.endpoint, "peers": [rendering.plain(each) for each in answer.peers]}
    return response({"data": data, "link": call.target.link()})


ROUTES: Final[dict[tuple[str, str], Handler]] = {
    ("POST", "/batches"): submit_batches,
    ("GET", "/batches"): list_batches,
    ("GET", "/batches/*"): fetch_batch,
    ("GET", "/batch_statuses"): list_statuses,
    ("POST", "/batch_statuses"): post_statuses,
    ("GET", "/state"): list_state,
    ("GET", "/state/*"): fetch_state,
    ("GET", "/blocks"): list_blocks,
    ("GET", "/blocks/*"): fetch_block,
    ("GET", "/transactions"): list_transactions,
    ("GET", "/transactions/*"): fetch_transaction,
    ("GET", "/receipts"): list_receipts,
    ("POST", "/receipts"): post_receipts,
    ("GET", "/peers"): fetch_peers,
    ("GET", "/status"): fetch_status,
}
"""By method and path; ``*`` stands for one part of a path."""
