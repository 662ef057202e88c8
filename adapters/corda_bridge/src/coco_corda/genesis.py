"""Genesis: from the operator's configuration to the first entry.

    {
      "notary_name": "O=Notary, L=London, C=GB",     the notary's X.500 name, in Corda's order
      "keeps": "transactions",                       or "states"
      "attachments": ["UEsDB…"],                     jars in base64 (optional)
      "network_parameters": ["Y29yZGE…"],            serialised parameters in base64 (optional)
      "states": [{…}],                               states of an earlier network, each with "ref", "state",
                                                     "networkParametersHash", "participants" (optional)
      "trusted_attachments": ["3F…"],                hashes of jars (optional; those above are trusted)
      "trusted_signers": ["9A…"],                    hashes of keys (optional)
      "notary_seed": "…"                             64 hex digits; made of fresh randomness when not given
    }

No JVM is asked here, so who signed these jars is not looked at: they are trusted by their hash, and each is a
trust domain of its own. A jar that comes later is read by the JVM.
"""

from __future__ import annotations

import base64
import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from coco_corda import records
from coco_corda.identity import NAME
from coco_corda.limits import (
    ATTACHMENT_MAX_BYTES,
    GENESIS_ATTACHMENTS_MAX,
    GENESIS_ENTRY_MAX_BYTES,
    GENESIS_PARAMETERS_MAX,
    GENESIS_STATES_MAX,
    OUTPUTS_MAX_BYTES,
    PARTICIPANTS_MAX,
)
from coco_corda.notary_key import NotaryKey, seed_of
from coco_corda.refs import StateRef, hash_text, parse_hash, sha256
from coco_corda.terms import KEEPS, Terms
from coco_core.adapter import Writes
from coco_core.errors import MalformedError, OperatorError

_KNOWN: Final = frozenset(
    (
        "attachments",
        "keeps",
        "network_parameters",
        "notary_name",
        "notary_seed",
        "states",
        "trusted_attachments",
        "trusted_signers",
    )
)
_SEED: Final = re.compile(r"[0-9a-fA-F]{64}")
_NAME: Final = re.compile(r"(?:[A-Z]{1,2}=[^,=\x00-\x1f]{1,128}, )*[A-Z]{1,2}=[^,=\x00-\x1f]{1,128}")
_TRUST_MAX: Final = 1_000


def genesis_writes(config: Mapping[str, Any], randomness: bytes) -> Sequence[Writes]:
    """Return the write set of the first entry. Raises OperatorError naming the faulty field."""
    for name in config:
        if name not in _KNOWN:
            raise OperatorError(f"{NAME}.{name}: not known; expected one of {', '.join(sorted(_KNOWN))}")
    notary_name = config.get("notary_name")
    if not isinstance(notary_name, str) or not _NAME.fullmatch(notary_name):
        raise OperatorError(f"{NAME}.notary_name: expected a name such as 'O=Notary, L=London, C=GB'")
    keeps = config.get("keeps", KEEPS[0])
    if keeps not in KEEPS:
        raise OperatorError(f"{NAME}.keeps: expected one of {', '.join(KEEPS)}")
    seed = _seed(config, randomness)
    jars = _blobs(config, "attachments", GENESIS_ATTACHMENTS_MAX)
    for digest, jar in jars.items():
        if len(jar) > ATTACHMENT_MAX_BYTES:
            raise OperatorError(
                f"{NAME}.attachments: {hash_text(digest)} has more than {ATTACHMENT_MAX_BYTES} bytes"
            )
    parameters = _blobs(config, "network_parameters", GENESIS_PARAMETERS_MAX)
    terms = Terms(
        keeps=keeps,
        trusted_attachments=_hashes(config, "trusted_attachments") | jars.keys(),
        trusted_signers=_hashes(config, "trusted_signers"),
        network_parameters=frozenset(parameters),
    )
    key = NotaryKey(seed).public_key
    identity = orjson.dumps({"name": notary_name, "key": base64.b64encode(key).decode()})
    begun: Writes = {
        records.KEYS: {records.NOTARY_KEY: seed},
        records.NOTARY: {records.IDENTITY: identity, records.TERMS: terms.pack()},
        records.ATTACHMENT_INFO: {digest: _info(jar, digest) for digest, jar in jars.items()},
        records.PARAMS: dict(parameters),
    }
    jars_apart: list[Writes] = [{records.ATTACHMENT: {digest: jar}} for digest, jar in jars.items()]
    return [begun, *jars_apart, *_in_parts(_states(config))]


def _seed(config: Mapping[str, Any], randomness: bytes) -> bytes:
    text = config.get("notary_seed")
    if text is None:
        return seed_of(randomness)
    # What is wrong with it is not repeated: it is a secret.
    if not isinstance(text, str) or not _SEED.fullmatch(text):
        raise OperatorError(f"{NAME}.notary_seed: expected 64 hex digits")
    return bytes.fromhex(text)


def _list(config: Mapping[str, Any], name: str, most: int) -> list[Any]:
    found = config.get(name, [])
    if not isinstance(found, list) or len(found) > most:
        raise OperatorError(f"{NAME}.{name}: expected a list of {most} at most")
    return found


def _blobs(config: Mapping[str, Any], name: str, most: int) -> dict[bytes, bytes]:
    """Return what is given in base64, by its hash."""
    found: dict[bytes, bytes] = {}
    for index, text in enumerate(_list(config, name, most)):
        try:
            blob = base64.b64decode(text, validate=True)
        except (TypeError, ValueError):
            raise OperatorError(f"{NAME}.{name}[{index}]: not base64") from None
        if not blob or sha256(blob) in found:
            raise OperatorError(f"{NAME}.{name}[{index}]: empty, or given twice")
        found[sha256(blob)] = blob
    return found


def _hashes(config: Mapping[str, Any], name: str) -> frozenset[bytes]:
    try:
        return frozenset(parse_hash(each) for each in _list(config, name, _TRUST_MAX))
    except (MalformedError, TypeError):
        raise OperatorError(f"{NAME}.{name}: expected hashes of 64 hex digits") from None


def _states(config: Mapping[str, Any]) -> dict[bytes, bytes | None]:
    """Return the states to begin with; nobody verifies them: whoever begins a network vouches for them."""
    found: dict[bytes, bytes | None] = {}
    for index, given in enumerate(_list(config, "states", GENESIS_STATES_MAX)):
        try:
            ref = StateRef.parse(given["ref"])
            state = records.State(
                params_hash=parse_hash(given["networkParametersHash"]),
                participants=tuple(sorted({parse_hash(each) for each in given["participants"]})),
                output=base64.b64decode(given["state"], validate=True),
            )
            if len(state.participants) > PARTICIPANTS_MAX:
                raise ValueError("too many participants")
            if len(state.output) > OUTPUTS_MAX_BYTES:
                raise ValueError("nobody could read it")
        except (KeyError, MalformedError, TypeError, ValueError):
            raise OperatorError(
                f"{NAME}.states[{index}]: expected ref, state, networkParametersHash and participants"
            ) from None
        found[ref.key] = state.pack()
    return found


def _in_parts(states: Mapping[bytes, bytes | None]) -> Iterator[Writes]:
    """Yield states in entries that are not too large each."""
    part: dict[bytes, bytes | None] = {}
    size = 0
    for key, row in states.items():
        size += len(key) + len(row or b"")
        if size > GENESIS_ENTRY_MAX_BYTES and part:
            yield {records.STATE: part}
            part, size = {}, len(key) + len(row or b"")
        part[key] = row
    if part:
        yield {records.STATE: part}


def _info(jar: bytes, digest: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(jar)) as archive:
            classes = sum(name.endswith(".class") for name in archive.namelist())
    except zipfile.BadZipFile:
        raise OperatorError(f"{NAME}.attachments: {hash_text(digest)} is no jar") from None
    return records.AttachmentInfo(signers=(), contracts=(), class_count=classes).pack()
