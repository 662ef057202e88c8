"""Validate a ledger folder with the ``ccf`` package and print what it found, as JSON on one line.

Runs in an environment of its own, because that package pins what it needs: ``ccf`` 7 on Python 3.12,
else ``ccf`` 6, which knows one level only (its highest) and says so in ``level``.
Usage: ``python independent_reader.py LEDGER_DIR [LEVEL] [RECEIPT SERVICE_CERT CLAIMS_HEX]``, or
``python independent_reader.py SNAPSHOT_FILE``. A clean return for a ledger says nothing by itself (an
unsigned ledger passes): compare ``last_verified_txid``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import ccf.cose
import ccf.ledger
import ccf.receipt
from cryptography.x509 import load_pem_x509_certificate


def validate(folder: str, level: str) -> dict[str, object]:
    """Run every entry of the folder through the package's validator at ``level``."""
    count, settings = 0, {}
    if hasattr(ccf.ledger, "VerificationLevel"):
        settings = {"verification_level": ccf.ledger.VerificationLevel[level]}
    validator = ccf.ledger.LedgerValidator(accept_deprecated_entry_types=False, **settings)
    for chunk in ccf.ledger.Ledger([folder], committed_only=False, **settings):
        for transaction in chunk:
            validator.add_transaction(transaction)
            count += 1
    return {
        "entries": count,
        "last_verified_txid": str(validator.last_verified_txid()),
        "level": level if settings else "FULL",
        "signatures": validator.signature_count,
    }


def check_receipts(receipts: Path, service_cert: Path, claims: bytes) -> dict[str, object]:
    """Check ``receipt.json`` and ``receipt.cose`` in a folder against the service certificate."""
    service = load_pem_x509_certificate(service_cert.read_bytes())
    receipt = json.loads((receipts / "receipt.json").read_bytes())
    parts = receipt["leaf_components"]
    evidence = ccf.ledger.digest(parts["commit_evidence"].encode())
    written = bytes.fromhex(parts["write_set_digest"])
    if parts["claims_digest"] != claims.hex():
        raise ValueError("the JSON receipt is for other claims")
    leaf = ccf.ledger.digest(written + evidence + claims)
    node = load_pem_x509_certificate(receipt["cert"].encode())
    ccf.receipt.verify(ccf.receipt.root(leaf.hex(), receipt["proof"]), receipt["signature"], node)
    endorsements = [load_pem_x509_certificate(pem.encode()) for pem in receipt["service_endorsements"]]
    ccf.receipt.check_endorsements(node, service, endorsements)
    signer = endorsements[0] if endorsements else service
    if not endorsements:
        # What endorses an identity of before is no authority that could issue certificates today.
        ccf.receipt.check_cert_chain(node, service, [])
    # Moved between the two versions.
    verify_cose = getattr(ccf.receipt, "verify_cose", None) or ccf.cose.verify_receipt
    verify_cose((receipts / "receipt.cose").read_bytes(), signer.public_key(), claims)
    return {"receipts": 2}


def read_snapshot(path: Path) -> dict[str, object]:
    """Read a snapshot, which checks its receipt, and return its place and public tables in hex."""
    with ccf.ledger.Snapshot(str(path)) as snapshot:
        domain = snapshot.get_public_domain()
        tables = {
            name: {key.hex(): value.hex() for key, value in table.items()}
            for name, table in domain.get_tables().items()
        }
        return {
            "private_size": snapshot.get_private_domain_size(),
            "seqno": domain.get_seqno(),
            "tables": tables,
            "txid": str(snapshot.get_txid()),
        }


def main(arguments: list[str]) -> None:
    """Print the findings; any refusal by the package ends the process with its traceback."""
    if Path(arguments[0]).is_file():
        found = read_snapshot(Path(arguments[0]))
    else:
        found = validate(arguments[0], arguments[1] if len(arguments) > 1 else "FULL")
    if len(arguments) > 2:
        found |= check_receipts(Path(arguments[2]), Path(arguments[3]), bytes.fromhex(arguments[4]))
    sys.stdout.write(json.dumps(found, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
