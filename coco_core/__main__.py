"""``python -m coco_core``: the same as the ``coco`` command."""

from coco_core.cli import main

main()
