"""Corda on the Coco Framework: CorDapps' own contracts, a notary that is the network."""

from coco_corda.identity import NAME, VERSION

__all__ = ["NAME", "VERSION"]
