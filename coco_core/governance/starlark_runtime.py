"""The runtime that evaluates in this process: for tests, simulations and texts one trusts.

Counts steps, but a single instruction may still take all memory or overflow the stack of this process.
Members' texts belong in a process of their own (``node.constitution_process``), with the same answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from coco_core.base import limits
from coco_core.errors import ScriptError
from coco_core.governance.runtime import JSON
from coco_core.script import Bounds, Evaluator

SCRIPT_BOUNDS = Bounds(
    source_size_max_bytes=limits.SCRIPT_SIZE_MAX_BYTES,
    result_size_max_bytes=limits.SCRIPT_RESULT_MAX_BYTES,
    result_depth_max=limits.SCRIPT_RESULT_DEPTH_MAX,
    steps_max=limits.SCRIPT_STEPS_MAX,
    call_depth_max=limits.SCRIPT_CALL_DEPTH_MAX,
    message_size_max=limits.SCRIPT_MESSAGE_SIZE_MAX,
    cached_max=limits.SCRIPTS_CACHED_MAX,
)


def encode_question(question: Mapping[str, JSON]) -> bytes:
    """Return what a text is asked as JSON. Raises ScriptError if it is too long or nested too deeply."""
    try:
        data = orjson.dumps(question)
    except orjson.JSONEncodeError as error:
        raise ScriptError("script-error", f"the arguments cannot be handed over: {error}") from error
    if len(data) > limits.SCRIPT_INPUT_MAX_BYTES:
        raise ScriptError("memory-limit", f"text and arguments are {len(data)} bytes")
    return data


class StarlarkRuntime:
    """``Runtime`` in this process."""

    def __init__(self, bounds: Bounds = SCRIPT_BOUNDS) -> None:
        self._evaluator = Evaluator(bounds)

    async def check(self, source: str, functions: Sequence[str]) -> None:
        """See ``Runtime.check``."""
        self._evaluator.check(source, functions)

    async def call(
        self, source: str, function: str, args: Sequence[JSON], service: JSON | None = None
    ) -> JSON:
        """See ``Runtime.call``."""
        service = {} if service is None else service
        encode_question({"source": source, "function": function, "args": list(args), "service": service})
        answer: JSON = orjson.loads(self._evaluator.call(source, function, args, service))
        return answer
