"""The only room of this adapter that touches the world: worker threads."""

from coco_ethereum.shell.workers import run_in_worker

__all__ = ["run_in_worker"]
