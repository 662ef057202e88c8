"""Bytes ⇄ values: frames on a stream and deterministic CBOR. Must not know what a value means."""

from coco_core.wire import cbor
from coco_core.wire.framing import FrameReader, frame

__all__ = ["FrameReader", "cbor", "frame"]
