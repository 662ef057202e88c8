"""Where a node's log goes: standard error, one JSON object a line, whoever wrote it."""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import Processor


def configure_log(level: str) -> None:
    """Send what this process logs at ``level`` or above to standard error, from now on.

    Adapters and libraries log through Python's ``logging``, the node through structlog: both come out alike.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    told: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.format_exc_info,
    ]
    rendered = structlog.processors.JSONRenderer()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(number),
        processors=[*told, rendered],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=told,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, rendered],
        )
    )
    logging.basicConfig(level=number, handlers=[handler], force=True)
