"""The only room of this adapter that touches the world: threads, waiting, recorded files."""

from coco_ethereum.shell.recordings import Recording, read_recording
from coco_ethereum.shell.waiting import Pulse
from coco_ethereum.shell.workers import let_others_run, run_in_worker

__all__ = ["Pulse", "Recording", "let_others_run", "read_recording", "run_in_worker"]
