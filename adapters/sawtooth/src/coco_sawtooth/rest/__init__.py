"""Sawtooth's REST interface, version 1.2.6: every route, and ``/subscriptions``."""

from coco_sawtooth.rest.server import RestServer
from coco_sawtooth.rest.subscriptions import Subscriptions

__all__ = ["RestServer", "Subscriptions"]
