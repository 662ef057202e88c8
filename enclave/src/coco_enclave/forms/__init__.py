"""Evidence and collateral as other software writes them, brought into the one form that is judged.

For people and operators, who have files of others; what travels in a network is of our own form. Nothing is
judged here: what comes out goes to the verifier of its kind, which believes none of it. Pure.
"""

from coco_enclave.forms.collateral import read_collateral
from coco_enclave.forms.evidence import Found, find_evidence
from coco_enclave.forms.tables import CertificateTable, read_table
from coco_enclave.forms.text import bytes_of_text, text_of

__all__ = [
    "CertificateTable",
    "Found",
    "bytes_of_text",
    "find_evidence",
    "read_collateral",
    "read_table",
    "text_of",
]
