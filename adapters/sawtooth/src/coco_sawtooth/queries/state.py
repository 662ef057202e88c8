"""State at addresses, receipts of transactions, and what the node says of itself. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from coco_core.adapter import ReadView
from coco_sawtooth import records
from coco_sawtooth.addresses import bad_prefixes, is_address
from coco_sawtooth.messages import (
    ClientPeersGetRequest,
    ClientPeersGetResponse,
    ClientReceiptGetRequest,
    ClientReceiptGetResponse,
    ClientStateGetRequest,
    ClientStateGetResponse,
    ClientStateListRequest,
    ClientStateListResponse,
    ClientStatusGetRequest,
    ClientStatusGetResponse,
    TransactionReceipt,
)
from coco_sawtooth.queries.paging import from_start
from coco_sawtooth.queries.reading import Reading, RefusedError, check_ids, is_reversed


def list_state(reading: Reading, request: ClientStateListRequest) -> ClientStateListResponse:
    """Answer a request for the entries under a prefix, by address. Costs a pass over the whole state."""
    state_root, view = reading.state(request.state_root)
    if bad_prefixes([request.address]):
        raise RefusedError("INVALID_ADDRESS")
    reverse = is_reversed(request.sorting, "default")
    page = from_start(_entries(view, request.address, reverse=reverse), request.paging)
    return ClientStateListResponse(
        status=ClientStateListResponse.OK if page.items else ClientStateListResponse.NO_RESOURCE,
        entries=page.items,
        state_root=state_root,
        paging=page.response,
    )


def _entries(
    view: ReadView, prefix: str, *, reverse: bool
) -> Iterator[tuple[str, ClientStateListResponse.Entry]]:
    rows = view.items(records.STATE, bytes.fromhex(prefix))
    for key, value in reversed(list(rows)) if reverse else rows:
        address = key.hex()
        yield address, ClientStateListResponse.Entry(address=address, data=value)


def get_state(reading: Reading, request: ClientStateGetRequest) -> ClientStateGetResponse:
    """Answer a request for the value at an address."""
    state_root, view = reading.state(request.state_root)
    if not is_address(request.address):
        raise RefusedError("INVALID_ADDRESS")
    value = records.state_value(view, request.address)
    if value is None:
        raise RefusedError("NO_RESOURCE")
    return ClientStateGetResponse(status=ClientStateGetResponse.OK, value=value, state_root=state_root)


def get_receipts(reading: Reading, request: ClientReceiptGetRequest) -> ClientReceiptGetResponse:
    """Answer a request for receipts: all of them, or none when one is not known."""
    check_ids(request.transaction_ids)
    found = [records.raw_receipt(reading.newest, each) for each in request.transaction_ids]
    if None in found:
        raise RefusedError("NO_RESOURCE")
    receipts = [TransactionReceipt.FromString(each) for each in found if each is not None]
    return ClientReceiptGetResponse(status=ClientReceiptGetResponse.OK, receipts=receipts)


def get_peers(reading: Reading, request: ClientPeersGetRequest) -> ClientPeersGetResponse:
    """Answer a request for peers: none speak Sawtooth's network protocol here."""
    del reading, request
    return ClientPeersGetResponse(status=ClientPeersGetResponse.OK)


def get_status(reading: Reading, request: ClientStatusGetRequest) -> ClientStatusGetResponse:
    """Answer a request for what the node is."""
    del request
    return ClientStatusGetResponse(status=ClientStatusGetResponse.OK, endpoint=reading.name)
