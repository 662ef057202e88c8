"""Devices as software: trees that behave as the kernel and Gramine describe theirs.

For tests of who asks them. What goes wrong on purpose is an argument or a method.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from coco_core.errors import OperatorError

_REPORT_DATA_BYTES: Final = 64


class GramineTree:
    """``/dev/attestation`` as Gramine shows it to one enclave."""

    def __init__(
        self, quote: Callable[[bytes], bytes], keys: dict[str, bytes] | None = None, kind: str = "dcap"
    ) -> None:
        """Make quotes with ``quote``; sealing keys by the names of their files."""
        self._quote = quote
        self._files = {f"keys/{name}": key for name, key in (keys or {}).items()}
        self._kind = kind
        self._report_data = bytes(_REPORT_DATA_BYTES)
        self.deaf = False
        """Whether writes are lost, as when another thread writes after us."""

    def read(self, name: str) -> bytes:
        """Return a file; raises OperatorError for one that is not there."""
        if name == "attestation_type":
            return self._kind.encode()
        if name == "quote" and self._kind == "dcap":
            return self._quote(self._report_data)
        if name in self._files:
            return self._files[name]
        raise OperatorError(f"no {name}")

    def write(self, name: str, data: bytes) -> None:
        """Take the bytes a quote is made over; raises OperatorError for anything else."""
        if name != "user_report_data" or len(data) != _REPORT_DATA_BYTES:
            raise OperatorError(f"{name} does not take {len(data)} bytes")
        if not self.deaf:
            self._report_data = data

    def make(self, name: str) -> None:
        """Refuse: nothing is made here."""
        raise OperatorError(f"{name} cannot be made")

    def remove(self, name: str) -> None:
        """Refuse: nothing is removed here."""
        raise OperatorError(f"{name} cannot be removed")


class TsmTree:
    """``/sys/kernel/config/tsm/report`` of a confidential VM."""

    def __init__(
        self,
        provider: str,
        report: Callable[[bytes, int], bytes],
        auxiliary: bytes | None = None,
        floor: int = 0,
    ) -> None:
        """Make reports with ``report``, of bytes and privilege level; ``auxiliary`` comes beside them."""
        self._provider = provider
        self._report = report
        self._auxiliary = auxiliary
        self._floor = floor
        self._entries: dict[str, dict[str, bytes]] = {}
        self.intruder: bytes | None = None
        """What somebody else writes into our entry before we read."""

    @property
    def entries(self) -> list[str]:
        """The folders nobody removed."""
        return sorted(self._entries)

    def make(self, name: str) -> None:
        """Make an entry, with nothing written yet; raises OperatorError when it exists."""
        if name in self._entries:
            raise OperatorError(f"{name} exists")
        self._entries[name] = {"generation": b"0\n"}

    def remove(self, name: str) -> None:
        """Remove an entry; raises OperatorError when there is none."""
        if self._entries.pop(name, None) is None:
            raise OperatorError(f"no {name}")

    def write(self, name: str, data: bytes) -> None:
        """Take one input, and count it; raises OperatorError for what is no input."""
        entry, attribute = self._entry(name)
        if attribute not in ("inblob", "privlevel") or len(data) > _REPORT_DATA_BYTES:
            raise OperatorError(f"{name} does not take {len(data)} bytes")
        if attribute == "privlevel" and int(data) < self._floor:
            raise OperatorError("below the floor")
        entry[attribute] = data
        entry["generation"] = b"%d\n" % (int(entry["generation"]) + 1)

    def read(self, name: str) -> bytes:
        """Return an attribute; raises OperatorError when it is not there, or nothing was asked."""
        entry, attribute = self._entry(name)
        if attribute == "outblob" and self.intruder is not None:
            self.write(name.replace("outblob", "inblob"), self.intruder)
        if attribute == "outblob" and "inblob" in entry:
            return self._report(entry["inblob"], int(entry.get("privlevel", b"0")))
        given = {
            "provider": self._provider.encode() + b"\n",
            "privlevel_floor": b"%d\n" % self._floor,
            "generation": entry["generation"],
        }
        if self._auxiliary is not None:
            given["auxblob"] = self._auxiliary
        if attribute not in given:
            raise OperatorError(f"no {name}")
        return given[attribute]

    def _entry(self, name: str) -> tuple[dict[str, bytes], str]:
        folder, _, attribute = name.partition("/")
        if folder not in self._entries:
            raise OperatorError(f"no {folder}")
        return self._entries[folder], attribute
