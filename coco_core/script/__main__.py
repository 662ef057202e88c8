"""The process in which texts are evaluated: questions on standard input, answers on standard output.

``python -P -m coco_core.script ADDRESS_SPACE BOUNDS…``. A message is a little-endian u32 length and so
many bytes. The first one out is the process's ID. Then each question, JSON, gets one answer: ``=`` and the
JSON returned, or ``!`` and ``[code, message]``. It ends with its input, and reads and writes nothing else.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from collections.abc import Sequence
from typing import Any

from coco_core.errors import ScriptError
from coco_core.script.evaluation import Bounds, Evaluator

_LENGTH = struct.Struct("<I")


def main(arguments: Sequence[str]) -> None:
    """Answer until the input ends."""
    address_space_max_bytes, *bounds = map(int, arguments)
    # A terminal interrupts all its processes; this one ends with the node it serves.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit(address_space_max_bytes)
    evaluator = Evaluator(Bounds(*bounds))
    _write(str(os.getpid()).encode())
    while (question := _read()) is not None:
        _write(_answer(evaluator, question))


def _answer(evaluator: Evaluator, question: bytes) -> bytes:
    try:
        asked: dict[str, Any] = json.loads(question)
        if "functions" in asked:
            evaluator.check(asked["source"], asked["functions"])
            return b"=null"
        return b"=" + evaluator.call(asked["source"], asked["function"], asked["args"], asked["service"])
    except ScriptError as error:
        return b"!" + json.dumps([error.code, str(error)]).encode()
    except RecursionError:
        return b"!" + json.dumps(["script-error", "the arguments are nested too deeply"]).encode()


def _limit(address_space_max_bytes: int) -> None:
    """Have the system refuse memory beyond the bound, where it can; and leave no core dump."""
    if sys.platform == "win32":
        return
    import resource  # not on Windows

    for what, most in ((resource.RLIMIT_AS, address_space_max_bytes), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(what)
        lower = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(what, (lower, lower))
        except (ValueError, OSError):
            # Some systems know the limit and do not set it. Whoever started this process watches too.
            continue


def _read() -> bytes | None:
    head = sys.stdin.buffer.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    body = sys.stdin.buffer.read(length)
    return body if len(body) == length else None


def _write(message: bytes) -> None:
    sys.stdout.buffer.write(_LENGTH.pack(len(message)) + message)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
