"""Versioned, transactional state in memory; knows neither consensus nor what values mean."""

from coco_core.kv.pinned import Pinned
from coco_core.kv.store import Store, View
from coco_core.kv.write_set import Writes, decode_domain, encode_domain, merge, merged, size_bytes

__all__ = [
    "Pinned",
    "Store",
    "View",
    "Writes",
    "decode_domain",
    "encode_domain",
    "merge",
    "merged",
    "size_bytes",
]
