"""A program that runs another one for no longer than its own parent lives, with all that one starts.

It is started as a script by ``companions``, as the leader of a session of its own, and imports nothing but
the standard library. Its standard input is a pipe that nobody but its parent holds: a line of JSON says what
to run (see ``main``), and when the pipe closes, whatever ended the parent, everything here is killed. On
POSIX that is the whole process group, so that nothing survives behind a wrapper such as ``sh -c`` or ``npx``;
on Windows it is the program alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading


def main() -> None:
    """Run what a line of standard input says, until that ends or standard input does.

    The line holds ``command``, a program and its arguments, and ``environment``, all its variables or null
    for those of this process. Standard output says why the program cannot be started, and is closed at once
    when it can; the program prints to standard error.
    """
    line = sys.stdin.buffer.readline()
    if not line:
        return  # The parent was gone before it said anything.
    told = json.loads(line)
    try:
        program = subprocess.Popen(
            told["command"], stdin=subprocess.DEVNULL, stdout=sys.stderr, env=told["environment"]
        )
    except OSError as error:
        print(error.strerror or error)
        return
    os.close(sys.stdout.fileno())
    threading.Thread(target=_end_with_parent, args=(program,), daemon=True).start()
    program.wait()
    _end(program)


def _end_with_parent(program: subprocess.Popen[bytes]) -> None:
    sys.stdin.buffer.read()
    _end(program)


def _end(program: subprocess.Popen[bytes]) -> None:
    """Kill what runs here, this process too."""
    if os.name == "posix":
        os.killpg(0, signal.SIGKILL)
    program.kill()
    os._exit(1)


if __name__ == "__main__":
    main()
