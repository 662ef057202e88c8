"""The only room of this adapter that touches the world: worker threads and recorded files."""

from coco_ethereum.shell.recordings import Recording, read_recording
from coco_ethereum.shell.workers import let_others_run, run_in_worker

__all__ = ["Recording", "let_others_run", "read_recording", "run_in_worker"]
