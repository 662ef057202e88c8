"""``coco adapters``: which ledgers are installed, with which engines."""

from __future__ import annotations

import json
from typing import Any

import click

from coco_core.errors import OperatorError
from coco_core.node import installed, load


@click.group()
def adapters() -> None:
    """Ledger adapters installed here."""


@adapters.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_adapters(as_json: bool) -> None:
    """List installed adapters, versions and engines. A network enables those its genesis names."""
    found = {name: _describe(name) for name in sorted(installed())}
    if as_json:
        print(json.dumps(found, indent=2))
        return
    if not found:
        print("no adapters are installed; try: pip install coco-framework[ethereum]")
    for name, about in found.items():
        if "error" in about:
            print(f"{name}: unusable: {about['error']}")
            continue
        print(f"{name} {about['version']} (contract {about['api']}); enabled where genesis names it")
        for engine in about["engines"]:
            state = f"missing: {engine['unavailable']}" if engine["unavailable"] else engine["version"]
            print(f"  engine {engine['name']}: {state}")


def _describe(name: str) -> dict[str, Any]:
    try:
        plugin = load(name)
    except OperatorError as error:
        return {"error": str(error)}
    return {
        "version": plugin.version,
        "api": plugin.api,
        "engines": [
            {"name": engine.name, "version": engine.version, "unavailable": engine.unavailable}
            for engine in plugin.engines()
        ],
    }
