"""Prints what an image will be measured as: what members put into the code manifest before they start it.

``python -m coco_enclave.providers.measure sgx|aci|snp|evidence …``. Reads files, asks no hardware.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from coco_core.errors import OperatorError
from coco_enclave import limits
from coco_enclave.describe import TeeExaminer
from coco_enclave.errors import EvidenceError
from coco_enclave.forms import bytes_of_text, text_of
from coco_enclave.reader import Reader
from coco_enclave.verify import verifier_of

_SIGSTRUCT_BYTES: Final = 1808
_MODULUS_BYTES: Final = 384
_DEBUG: Final = 1 << 1
_MEASUREMENT: Final = re.compile("[0-9a-f]{96}")
_STARTED: Final = ("rtmr0", "rtmr1", "rtmr2")
"""What a policy for TDX has to name beside the measurement."""
_TOOL_TIMEOUT_S: Final = 300
_SNP_TOOL: Final = (sys.executable, "-m", "sevsnpmeasure.cli", "--mode", "snp", "--output-format", "hex")
"""``sev-snp-measure``, of this environment and not of another that happens to come first."""


def measure_sgx(sigstruct: bytes) -> dict[str, str]:
    """Return what a signed enclave is: measurement, signer and security version; raises EvidenceError.

    Source: Intel SDM volume 3D, SIGSTRUCT.
    """
    reader = Reader(sigstruct, "SIGSTRUCT")
    if len(sigstruct) != _SIGSTRUCT_BYTES:
        raise reader.malformed(f"it has {len(sigstruct)} bytes, not {_SIGSTRUCT_BYTES}")
    reader.take(128)
    modulus = reader.take(_MODULUS_BYTES)
    reader.take(4 + 384 + 4 + 4 + 20)  # Exponent, signature, miscellaneous selection and mask, reserved.
    attributes = reader.u64()
    reader.take(8 + 16)  # XFRM, mask of attributes.
    measurement = reader.take(32)
    reader.take(32)
    product, svn = reader.u16(), reader.u16()
    return {
        "measurement": measurement.hex(),
        "signer": hashlib.sha256(modulus).hexdigest(),
        "product_id": str(product),
        "svn": str(svn),
        "debug": "yes" if attributes & _DEBUG else "no",
    }


def measure_aci(policy: bytes) -> dict[str, str]:
    """Return what a container group of Azure is: the digest of its policy, Rego or base64 of it."""
    text = text_of(policy)
    decoded = bytes_of_text(text) if text is not None else None
    return {"measurement": hashlib.sha256(decoded or policy).hexdigest()}


def measure_snp(arguments: Sequence[str], run: Callable[[Sequence[str]], str]) -> dict[str, str]:
    """Return what a SEV-SNP guest is launched as, by ``sev-snp-measure``; raises OperatorError."""
    printed = run([*_SNP_TOOL, *arguments]).strip()
    if not _MEASUREMENT.fullmatch(printed):
        raise OperatorError(f"sev-snp-measure printed no measurement: {printed[:80]!r}")
    return {"measurement": printed}


def measure_evidence(data: bytes) -> dict[str, str]:
    """Return what evidence says of the code, nothing of it checked; raises EvidenceError."""
    found = TeeExaminer().read(data)
    if found is None:
        raise EvidenceError("format", "no evidence that is known")
    claims = verifier_of(found.format).read(found.quote)
    told = {"platform": found.format, "measurement": claims.measurement, "signer": claims.signer}
    registers = claims.more.get("registers", {name: claims.more.get(name, "") for name in _STARTED})
    return {name: value for name, value in {**told, **registers}.items() if value}


def run_tool(command: Sequence[str]) -> str:
    """Return what a command prints; raises OperatorError."""
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own command line, by no shell
            command, check=True, capture_output=True, timeout=_TOOL_TIMEOUT_S, text=True
        )
    except subprocess.CalledProcessError as error:
        told = (error.stderr or error.stdout).strip().splitlines()[-1:] or ["it says nothing"]
        raise OperatorError(
            f"sev-snp-measure failed (pip install sev-snp-measure): {told[0][:200]}"
        ) from error
    except (OSError, subprocess.SubprocessError) as error:
        raise OperatorError(f"sev-snp-measure failed: {error}") from error
    return done.stdout


def main(arguments: Sequence[str], run: Callable[[Sequence[str]], str] = run_tool) -> int:
    """Print the measurement that the command line asks for; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m coco_enclave.providers.measure")
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind, what in (("sgx", "a SIGSTRUCT"), ("aci", "a container policy"), ("evidence", "evidence")):
        kinds.add_parser(kind).add_argument("file", type=Path, help=f"file with {what}")
    kinds.add_parser("snp", help="options are those of sev-snp-measure")
    chosen, rest = parser.parse_known_args(arguments)
    try:
        if chosen.kind == "snp":
            found = measure_snp(rest, run)
        else:
            if rest:
                parser.error(f"unknown: {' '.join(rest)}")
            data = _read(chosen.file)
            found = {"sgx": measure_sgx, "aci": measure_aci, "evidence": measure_evidence}[chosen.kind](data)
    except (EvidenceError, OperatorError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.writelines(f"{name} {value}\n" for name, value in found.items())
    return 0


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limits.EVIDENCE_SIZE_MAX_BYTES + 1)
    except OSError as error:
        raise OperatorError(f"cannot read {path}: {error}") from error
    if len(data) > limits.EVIDENCE_SIZE_MAX_BYTES:
        raise OperatorError(f"{path} has more than {limits.EVIDENCE_SIZE_MAX_BYTES} bytes")
    return data


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
