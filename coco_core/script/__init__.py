"""Members' Starlark texts evaluated within bounds. Must not know what a text decides, or anything of Coco.

``python -m coco_core.script`` does it in a process of its own, which must be up within milliseconds and
takes its bounds as arguments: so this room imports nothing of the others but their errors.
"""

from coco_core.script.evaluation import Bounds, Evaluator

__all__ = ["Bounds", "Evaluator"]
