"""Messages of the component socket as bytes. Knows the protocol's framing and none of its rules."""

from __future__ import annotations

from coco_sawtooth.batches import Transaction
from coco_sawtooth.messages import Message, MessageType, TpProcessRequest

_HEADER_TAG = b"\x0a"  # TpProcessRequest.header: field 1, length-delimited


def envelope(message_type: int, correlation_id: str, content: bytes) -> bytes:
    """Return a whole message as it is sent."""
    message = Message(message_type=message_type, correlation_id=correlation_id, content=content)
    return message.SerializeToString()


def process_request(transaction: Transaction, context_id: str, correlation_id: str, *, raw: bool) -> bytes:
    """Return the request to process ``transaction``, its header as signed (``raw``) or as a message.

    A message within a message is its bytes, so the signed header serves as both and is not encoded again.
    """
    header = transaction.header_bytes
    request = TpProcessRequest(payload=transaction.payload, signature=transaction.id, context_id=context_id)
    if raw:
        request.header_bytes = header
        content = request.SerializeToString()
    else:
        content = _HEADER_TAG + _varint(len(header)) + header + request.SerializeToString()
    return envelope(MessageType.TP_PROCESS_REQUEST, correlation_id, content)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
