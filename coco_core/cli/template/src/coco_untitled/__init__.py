"""The Untitled ledger for the Coco Framework; see ``adapter`` for its rules."""

from coco_untitled.adapter import UntitledAdapter

__all__ = ["UntitledAdapter"]
