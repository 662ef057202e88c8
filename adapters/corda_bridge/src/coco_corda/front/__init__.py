"""How clients reach the ledger: HTTP, as the adapter's page describes it. Knows no sockets."""

from coco_corda.front.outside import Outside
from coco_corda.front.server import FrontEnd

__all__ = ["FrontEnd", "Outside"]
