"""Hyperledger Sawtooth on the Coco Framework: unmodified transaction processors and clients."""

from coco_sawtooth.identity import NAME, VERSION

__all__ = ["NAME", "VERSION"]
