"""``python -m coco_core.testing.conformance NAME``: what ``coco adapters check`` runs."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from coco_core.errors import CocoError
from coco_core.testing.conformance.checking import check, tests_of
from coco_core.testing.conformance.report import Finding


def main() -> int:
    """Return 0 when all passed, 1 when any failed, 2 when nothing could be checked."""
    parser = argparse.ArgumentParser(prog="coco adapters check")
    parser.add_argument("name")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--no-processes", action="store_true")
    options = parser.parse_args()
    try:
        report = check(tests_of(options.name), processes=not options.no_processes, told=_tell)
        if options.json is not None:
            options.json.write_text(json.dumps(report.to_json(), indent=2) + "\n")
    except CocoError as error:
        sys.stderr.write(f"coco: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"coco: --json {options.json}: {error.strerror}\n")
        return 2
    sys.stdout.write("\n".join(report.lines()) + "\n")
    return 1 if report.failed else 0


def _tell(finding: Finding) -> None:
    """Say on standard error how far it is."""
    sys.stderr.write(f"{finding.outcome:>10}  {finding.test} ({finding.duration_s:.1f} s)\n")


if __name__ == "__main__":
    sys.exit(main())
