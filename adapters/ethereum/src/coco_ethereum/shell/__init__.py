"""The only room of this adapter that touches the world: threads, waiting, recorded files, the log."""

from coco_ethereum.shell.recordings import Recording, read_recording
from coco_ethereum.shell.waiting import Pulse
from coco_ethereum.shell.workers import WorkerPool, let_others_run, report_fault, run_in_worker

__all__ = [
    "Pulse",
    "Recording",
    "WorkerPool",
    "let_others_run",
    "read_recording",
    "report_fault",
    "run_in_worker",
]
