"""The Coco Framework's core: consensus, confidentiality and proof for any ledger.

Adapters import the doors only: :mod:`coco_core.adapter`, :mod:`coco_core.attestation`,
:mod:`coco_core.client`, :mod:`coco_core.testing` and :mod:`coco_core.errors`.
"""

__version__ = "0.1.0"
__all__ = ["__version__"]
