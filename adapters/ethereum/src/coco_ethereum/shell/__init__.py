"""The only room of this adapter that touches the world: worker threads and recorded files."""

from coco_ethereum.shell.recordings import Recording, read_recording
from coco_ethereum.shell.workers import run_in_worker

__all__ = ["Recording", "read_recording", "run_in_worker"]
