"""How a demonstration is told: in chapters, each step with what must come true."""

from __future__ import annotations

import attrs
from rich.console import Console
from rich.markup import escape

from coco_core.errors import IntegrityError


@attrs.define(kw_only=True)
class Telling:
    """Says what came true; the first thing that does not ends the story."""

    console: Console
    chapter: int = 0

    def heading(self, text: str) -> None:
        """Begin the next part."""
        self.chapter += 1
        self.console.print(f"\n[bold]{self.chapter}. {escape(text)}[/]")

    def true(self, what: str, holds: bool) -> None:
        """Say what came true; raise IntegrityError when it did not."""
        if not holds:
            raise IntegrityError(f"this did not come true: {what}")
        self.console.print(f"   [green]✓[/] {escape(what)}")
