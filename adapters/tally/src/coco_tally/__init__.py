"""The Tally ledger for the Coco Framework; see ``adapter`` for its rules."""

from coco_tally.adapter import TallyAdapter

__all__ = ["TallyAdapter"]
