"""How a JVM worker is started: which Java, which jar, which bounds, and how far it can be confined here."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from coco_corda.identity import NAME
from coco_corda.limits import (
    MIB,
    REQUEST_DEADLINE_MAX_MS,
    REQUEST_DEADLINE_MS,
    WORKER_ADDRESS_SPACE_MIB,
    WORKER_FILE_MAX_BYTES,
    WORKER_FILES_MAX,
    WORKER_FRAME_MAX_BYTES,
    WORKER_HEAP_MIB,
    WORKER_THREADS,
)
from coco_corda.shell.folders import Folder
from coco_core.errors import OperatorError

JAR: Final = "coco-corda-service-worker.jar"
ARCHIVE: Final = "coco-corda-service.jsa"
"""Its classes, read beforehand; a JVM that cannot use it starts without."""
SETTINGS: Final = frozenset(("confinement", "java", "service", "verify_seconds"))
LEVELS: Final = ("files", "network", "none")
_PACKAGE: Final = Path(__file__).resolve().parent.parent
_PLACES: Final = (
    _PACKAGE / "service",
    # In a checkout, where `make jvm` puts it.
    _PACKAGE.parent.parent / "jvm" / "service" / "target" / "service",
)
_CONTRACTS: Final = _PACKAGE.parent.parent / "jvm" / "acceptance" / "target" / "lib"
_JAIL: Final = Path(__file__).resolve().parent / "jail.py"
_LIBRARIES: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
_PROBE_S: Final = 20


@attrs.frozen(kw_only=True)
class Launch:
    """Everything that starting a worker takes."""

    java: Path
    service: Path
    """The folder with the worker's jar, and ``lib`` beside it."""
    level: str
    """How far it is confined, see ``jail``."""
    deadline_ms: int = REQUEST_DEADLINE_MS
    heap_mib: int = WORKER_HEAP_MIB
    threads: int = WORKER_THREADS

    @property
    def warning(self) -> str | None:
        """What an operator has to know of how a worker is confined here; None where there is nothing."""
        if self.level == LEVELS[0]:
            return None
        return (
            f"contract code of Corda is confined to {self.level!r} on this machine, not to {LEVELS[0]!r}:"
            " it reads and writes files as this node does; set 'confinement' to refuse to start so"
        )

    def command(self, folder: Path, *, on_loopback: bool) -> list[str]:
        """Return the command of a worker on the loopback, or on the socket that is its standard input.

        ``folder`` is empty, and the worker's own.
        """
        where = "--loopback" if on_loopback else "--inherited"
        command = [
            str(self.java),
            f"-Xmx{self.heap_mib}m",
            "-Xss1m",
            "-XX:+UseSerialGC",
            "-XX:MaxMetaspaceSize=256m",
            "-XX:ReservedCodeCacheSize=96m",
            "-XX:MaxDirectMemorySize=64m",
            "-XX:+ExitOnOutOfMemoryError",
            "-XX:-UsePerfData",
            # Java copies jars that it loads classes from, if they are no files.
            f"-Djava.io.tmpdir={'/tmp' if self.level == 'files' else folder}",  # noqa: S108 - of its own
            "-XX:+DisableAttachMechanism",
            # The first line it prints is read.
            "-Xlog:disable",
            f"-XX:SharedArchiveFile={self.service / ARCHIVE}",
            "-jar",
            str(self.service / JAR),
            where,
            "--threads",
            str(self.threads),
            "--frame-bytes",
            str(WORKER_FRAME_MAX_BYTES),
        ]
        if os.name != "posix":
            return command
        told = {
            "level": self.level,
            "command": command,
            "read": _readable(self.java, self.service),
            "folder": str(folder),
            "address_space": WORKER_ADDRESS_SPACE_MIB * MIB,
            "files": WORKER_FILES_MAX,
            "file_size": WORKER_FILE_MAX_BYTES,
        }
        return [sys.executable, "-I", "-S", str(_JAIL), json.dumps(told)]


def find_launch(settings: Mapping[str, Any]) -> Launch | str:
    """Return how workers start here, or one line that says what is missing; raises OperatorError.

    ``java`` names the program, ``service`` the folder of the worker, ``verify_seconds`` how long one
    transaction may take, ``confinement`` the least that will do: ``files``, ``network`` or ``none``.
    """
    for name in settings:
        if name not in SETTINGS:
            raise OperatorError(f"{NAME}.{name}: not known; expected one of {', '.join(sorted(SETTINGS))}")
    least = settings.get("confinement", "none")
    if least not in LEVELS:
        raise OperatorError(f"{NAME}.confinement: expected one of {', '.join(LEVELS)}")
    seconds = settings.get("verify_seconds", REQUEST_DEADLINE_MS // 1000)
    if type(seconds) is not int or not 1 <= seconds <= REQUEST_DEADLINE_MAX_MS // 1000:
        raise OperatorError(
            f"{NAME}.verify_seconds: expected a whole number to {REQUEST_DEADLINE_MAX_MS // 1000}"
        )
    java = find_java(settings.get("java"))
    if java is None:
        return "no Java here: install a JDK 17, or name its program in the setting 'java'"
    service = _service(settings.get("service"))
    if service is None:
        return "no JVM worker here: make jvm (needs a JDK 17 and Maven), or name its folder in 'service'"
    level = confinement(java)
    if LEVELS.index(level) > LEVELS.index(least):
        raise OperatorError(f"{NAME}.confinement: {least} cannot be had here, {level} can")
    return Launch(java=java, service=service, level=level, deadline_ms=seconds * 1000)


@functools.cache
def confinement(java: Path) -> str:
    """Return how far a program can be confined on this machine; tried by confining one that only ends."""
    if sys.platform != "linux":
        return LEVELS[-1]
    for level in LEVELS[:-1]:
        with Folder() as folder:
            told = {
                "level": level,
                "command": [str(java), "-Xmx32m", "-XX:-UsePerfData", "-version"],
                "read": _readable(java, folder),
                "folder": str(folder),
                "address_space": WORKER_ADDRESS_SPACE_MIB * MIB,
                "files": WORKER_FILES_MAX,
                "file_size": WORKER_FILE_MAX_BYTES,
            }
            command = [sys.executable, "-I", "-S", str(_JAIL), json.dumps(told)]
            try:
                tried = subprocess.run(  # noqa: S603 - our own script
                    command, capture_output=True, timeout=_PROBE_S, check=False
                )
            except subprocess.TimeoutExpired:
                continue
            if tried.returncode == 0:
                return level
    return LEVELS[-1]


def finance_contracts() -> bytes | None:
    """Return R3's published finance contracts as the build resolved them; None without a build."""
    found = sorted(_CONTRACTS.glob("corda-finance-contracts-*.jar"))
    return found[0].read_bytes() if found else None


def find_java(named: Any) -> Path | None:
    """Return the program that runs Java, ``named`` or as the environment says; None when there is none."""
    if named is not None:
        if not isinstance(named, str) or not Path(named).is_file():
            raise OperatorError(f"{NAME}.java: not a file")
        return Path(named).resolve()
    home = os.environ.get("JAVA_HOME")
    program = "java.exe" if os.name == "nt" else "java"
    if home and Path(home, "bin", program).is_file():
        return Path(home, "bin", program).resolve()
    found = shutil.which("java")
    return None if found is None else Path(found).resolve()


def _service(named: Any) -> Path | None:
    if named is not None:
        if not isinstance(named, str) or not Path(named, JAR).is_file():
            raise OperatorError(f"{NAME}.service: no folder with a {JAR}")
        return Path(named).resolve()
    return next((place for place in _PLACES if (place / JAR).is_file()), None)


def _readable(java: Path, service: Path) -> list[str]:
    """Return what a worker has to read: Java with its configuration, system libraries, its own jars."""
    home = java.parent.parent
    # Distributions keep some of Java's configuration elsewhere and leave links.
    links = [each.resolve().parent for each in home.rglob("conf/*") if each.is_symlink()]
    links += [each.resolve() for each in (home / "conf",) if each.is_symlink()]
    paths = dict.fromkeys(str(each) for each in (*_LIBRARIES, home, *links, service))
    return [each for each in paths if os.path.exists(each) and not os.path.islink(each)]
