"""How long a validator waits for transaction processors, and how often it tries. Knows nothing else.

Nobody waits for ever: whatever processors do, a transaction has a result within ``process_ms`` of its turn,
times the tries it has.
"""

from __future__ import annotations

from typing import Final

import attrs

OCCUPANCY_DEFAULT: Final = 10
"""Transactions a processor is given at a time when it does not say how many it takes (Sawtooth 1.2.6)."""

OCCUPANCY_MAX: Final = 500

PROTOCOL_VERSION: Final = 1
"""The highest version of a processor's registration that is understood (Sawtooth 1.2.6)."""

PEERS_MAX: Final = 1_024
REGISTRATIONS_MAX: Final = 64
FAMILY_TEXT_MAX_CHARS: Final = 256
NOTES_MAX: Final = 100
NOTE_FAMILIES_MAX: Final = 5
"""Families named in one note, and notes that wait to be told."""
SUSPECTS_MAX: Final = 1_000
"""Transactions remembered to have been with a processor that ended."""


@attrs.frozen(kw_only=True)
class Policy:
    """Times in milliseconds, and numbers of tries."""

    process_ms: int = 10_000
    """How long a processor may take for a transaction once it is its turn."""
    absent_ms: int = 0
    """How long transactions wait for a family that has lost its last processor, or never had one.

    Everything else of the ledger would wait too, so by default they do not: who sent them may try again.
    """
    fresh_ms: int = 200
    """How long after registering a processor gets nothing: until then Go's SDK takes only answers."""
    leaving_ms: int = 1_000
    """How long after it unregistered a processor's answers still count."""
    silent_ms: int = 10_000
    """How long a processor may be silent until it is asked whether it is there."""
    errors_max: int = 3
    """How often a processor may answer with an internal error."""
    error_pause_ms: int = 100
    """Until the second try after an internal error; doubled for each further one."""
    crashes_max: int = 2
    """How many processors may end while they work on a transaction, the last of them on it alone."""
    moves_max: int = 8
    """How often a transaction is taken from a processor and given to another through no fault of its own."""
