"""The only room of this adapter that touches the world: sockets, threads, time."""

from coco_sawtooth.shell.driving import Driver, Place
from coco_sawtooth.shell.tasks import catch_up, run_in_worker, run_together, warm

__all__ = ["Driver", "Place", "catch_up", "run_in_worker", "run_together", "warm"]
