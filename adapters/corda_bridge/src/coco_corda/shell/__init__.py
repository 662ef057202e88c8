"""What touches the world: JVM workers in processes of their own, threads, time. Knows trio."""

from coco_corda.shell.keeping import Keeper
from coco_corda.shell.launching import Launch, finance_contracts, find_launch
from coco_corda.shell.outside import Clock
from coco_corda.shell.tasks import run_together
from coco_corda.shell.workers import Workers

__all__ = ["Clock", "Keeper", "Launch", "Workers", "finance_contracts", "find_launch", "run_together"]
