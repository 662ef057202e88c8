"""The built-in Raft engine, split by concern: each file's head states its law.

This room must not know what an entry means, what time it is, or how messages travel.
"""

from coco_core.consensus.raft.log import LogStart
from coco_core.consensus.raft.raft import Raft
from coco_core.consensus.raft.settings import RaftSettings

__all__ = ["LogStart", "Raft", "RaftSettings"]
