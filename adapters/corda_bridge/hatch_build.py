"""Puts the JVM worker into what is built, where ``make jvm`` has made it: an installed node finds it there.

Without it the wheel is as good, but for verification: the setting ``service`` of a node names a worker then.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

WORKER = Path("jvm", "service", "target", "service")
JAR = "coco-corda-service-worker.jar"


class WorkerBuildHook(BuildHookInterface[Any]):
    """Takes the worker's jars along."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the jars; an editable installation finds them in the checkout."""
        folder = Path(self.root) / WORKER
        if version == "editable":
            return
        if not (folder / JAR).is_file():
            self.app.display_warning(f"no JVM worker in {WORKER}: make jvm (needs a JDK 17 and Maven)")
            return
        place = WORKER if self.target_name == "sdist" else Path("coco_corda", "service")
        for jar in (folder / JAR, *sorted(folder.glob("lib/*.jar"))):
            build_data["force_include"][str(jar)] = str(place / jar.relative_to(folder))
