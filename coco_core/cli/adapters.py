"""``coco adapters``: which are installed, how to begin a new one, whether one keeps the contract."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from coco_core.cli.asking import FILE
from coco_core.cli.scaffold import default_folder, write_distribution
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


@adapters.command()
@click.argument("name")
@click.option("--json", "json_file", type=FILE, help="Write what was found there, for programs.")
@click.option("--no-processes", is_flag=True, help="Leave out what starts node processes.")
@click.pass_context
def check(context: click.Context, name: str, json_file: Path | None, no_processes: bool) -> None:
    """Check that the installed adapter NAME keeps the contract: run the conformance kit for it.

    Its distribution has to name a harness in the entry points coco.adapter_harnesses. Needs pytest, that is
    coco-framework[testing]. Exit status 1 when any test fails.
    """
    if any(importlib.util.find_spec(module) is None for module in ("pytest", "pytest_trio")):
        raise OperatorError("the conformance kit needs the extra: pip install 'coco-framework[testing]'")
    command = [sys.executable, "-m", "coco_core.testing.conformance", name]
    command += ["--json", str(json_file)] if json_file is not None else []
    command += ["--no-processes"] if no_processes else []
    context.exit(subprocess.run(command, check=False).returncode)


@adapters.command()
@click.argument("name")
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Write it here.  [default: coco-NAME]")
def new(name: str, folder: Path | None) -> None:
    """Write a new adapter NAME: a distribution that works, with tests, to put your own ledger into.

    NAME is one lower-case word, such as 'tally'. Nothing that is there is overwritten.
    """
    target = folder if folder is not None else default_folder(name)
    for path in write_distribution(name, target):
        click.echo(f"  {target / path}")
    if name in installed():
        click.echo(f"note: another adapter {name!r} is installed here; only one of them can be", err=True)
    click.echo(f"next: cd {target} && make setup check test")


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
