"""Transaction processors: who is registered, who works on what, what becomes of those that do not answer."""

from coco_sawtooth.processors.clients import ClientMessage, ClientMessages, Send
from coco_sawtooth.processors.dispatch import Dispatcher
from coco_sawtooth.processors.endpoint import checked_endpoint
from coco_sawtooth.processors.envelope import envelope
from coco_sawtooth.processors.jobs import Family, Job
from coco_sawtooth.processors.policy import Policy

__all__ = [
    "ClientMessage",
    "ClientMessages",
    "Dispatcher",
    "Family",
    "Job",
    "Policy",
    "Send",
    "checked_endpoint",
    "envelope",
]
