"""Every bound of this distribution. Knows nothing else."""

from __future__ import annotations

from typing import Final

KIB: Final = 1024

# What is parsed at all: the largest genuine quotes have 8 KiB, collateral 20 KiB, a measured-boot log 64 KiB.
EVIDENCE_SIZE_MAX_BYTES: Final = 256 * KIB
COLLATERAL_SIZE_MAX_BYTES: Final = 256 * KIB
POLICY_SIZE_MAX_BYTES: Final = 64 * KIB

# Certificates in one chain, the root with them.
CHAIN_MAX: Final = 8

# Values a policy lists under one heading.
POLICY_LIST_MAX: Final = 1024

# What a node seals: keys, not its state.
SEALED_SIZE_MAX_BYTES: Final = 64 * KIB

# The largest file a device may answer with.
DEVICE_ANSWER_MAX_BYTES: Final = 64 * KIB
