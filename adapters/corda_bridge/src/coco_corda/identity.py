"""What this adapter is called and which version it is. Knows nothing else."""

from typing import Final

NAME: Final = "corda"
VERSION: Final = "0.1.0"
"""One version for all distributions of the framework."""
