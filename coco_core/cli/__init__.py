"""The ``coco`` command: what operators and integrators type. Knows every room, decides nothing."""

from coco_core.cli.main import main

__all__ = ["main"]
