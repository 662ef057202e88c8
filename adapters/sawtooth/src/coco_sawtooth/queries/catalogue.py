"""Every question that the chain alone answers: its message, its answer's, and who answers it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import attrs
from google.protobuf.message import DecodeError, Message

from coco_sawtooth import messages
from coco_sawtooth.messages import MessageType
from coco_sawtooth.queries import lists, state
from coco_sawtooth.queries.reading import Reading, RefusedError

Answer = TypeVar("Answer", bound=Message)


@attrs.frozen
class Query:
    """One kind of question."""

    request: type[Message]
    response: type[Any]
    response_type: MessageType
    respond: Callable[[Reading, Any], Any]


def ask(query: Callable[[Reading, Any], Answer], reading: Reading, request: Message) -> Answer:
    """Answer a request; a refusal is an answer whose status says why."""
    try:
        return query(reading, request)
    except RefusedError as refused:
        response = _RESPONSES[query]
        answered: Answer = response(status=getattr(response, refused.status, response.INTERNAL_ERROR))
        return answered


def answer(query: Query, reading: Reading, content: bytes) -> Message:
    """Answer a serialised request; one that does not decode gets INTERNAL_ERROR, as from a validator."""
    try:
        request = query.request.FromString(content)
    except DecodeError:
        status = getattr(query.response, "INTERNAL_ERROR", None) or query.response.ERROR
        undecodable: Message = query.response(status=status)
        return undecodable
    respond: Callable[[Reading, Any], Message] = query.respond
    return ask(respond, reading, request)


def _block(request: type[Message], respond: Callable[[Reading, Any], Any]) -> Query:
    return Query(request, messages.ClientBlockGetResponse, MessageType.CLIENT_BLOCK_GET_RESPONSE, respond)


QUERIES: Final[Mapping[MessageType, Query]] = {
    MessageType.CLIENT_BLOCK_LIST_REQUEST: Query(
        messages.ClientBlockListRequest,
        messages.ClientBlockListResponse,
        MessageType.CLIENT_BLOCK_LIST_RESPONSE,
        lists.list_blocks,
    ),
    MessageType.CLIENT_BLOCK_GET_BY_ID_REQUEST: _block(messages.ClientBlockGetByIdRequest, lists.block_by_id),
    MessageType.CLIENT_BLOCK_GET_BY_NUM_REQUEST: _block(
        messages.ClientBlockGetByNumRequest, lists.block_by_number
    ),
    MessageType.CLIENT_BLOCK_GET_BY_TRANSACTION_ID_REQUEST: _block(
        messages.ClientBlockGetByTransactionIdRequest, lists.block_of_transaction
    ),
    MessageType.CLIENT_BLOCK_GET_BY_BATCH_ID_REQUEST: _block(
        messages.ClientBlockGetByBatchIdRequest, lists.block_of_batch
    ),
    MessageType.CLIENT_BATCH_LIST_REQUEST: Query(
        messages.ClientBatchListRequest,
        messages.ClientBatchListResponse,
        MessageType.CLIENT_BATCH_LIST_RESPONSE,
        lists.list_batches,
    ),
    MessageType.CLIENT_BATCH_GET_REQUEST: Query(
        messages.ClientBatchGetRequest,
        messages.ClientBatchGetResponse,
        MessageType.CLIENT_BATCH_GET_RESPONSE,
        lists.batch_by_id,
    ),
    MessageType.CLIENT_TRANSACTION_LIST_REQUEST: Query(
        messages.ClientTransactionListRequest,
        messages.ClientTransactionListResponse,
        MessageType.CLIENT_TRANSACTION_LIST_RESPONSE,
        lists.list_transactions,
    ),
    MessageType.CLIENT_TRANSACTION_GET_REQUEST: Query(
        messages.ClientTransactionGetRequest,
        messages.ClientTransactionGetResponse,
        MessageType.CLIENT_TRANSACTION_GET_RESPONSE,
        lists.transaction_by_id,
    ),
    MessageType.CLIENT_STATE_LIST_REQUEST: Query(
        messages.ClientStateListRequest,
        messages.ClientStateListResponse,
        MessageType.CLIENT_STATE_LIST_RESPONSE,
        state.list_state,
    ),
    MessageType.CLIENT_STATE_GET_REQUEST: Query(
        messages.ClientStateGetRequest,
        messages.ClientStateGetResponse,
        MessageType.CLIENT_STATE_GET_RESPONSE,
        state.get_state,
    ),
    MessageType.CLIENT_RECEIPT_GET_REQUEST: Query(
        messages.ClientReceiptGetRequest,
        messages.ClientReceiptGetResponse,
        MessageType.CLIENT_RECEIPT_GET_RESPONSE,
        state.get_receipts,
    ),
    MessageType.CLIENT_PEERS_GET_REQUEST: Query(
        messages.ClientPeersGetRequest,
        messages.ClientPeersGetResponse,
        MessageType.CLIENT_PEERS_GET_RESPONSE,
        state.get_peers,
    ),
    MessageType.CLIENT_STATUS_GET_REQUEST: Query(
        messages.ClientStatusGetRequest,
        messages.ClientStatusGetResponse,
        MessageType.CLIENT_STATUS_GET_RESPONSE,
        state.get_status,
    ),
}

_RESPONSES: Final = {query.respond: query.response for query in QUERIES.values()}
