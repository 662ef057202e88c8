"""One request of a client: its target, and the key that proved itself with it."""

from __future__ import annotations

import base64
import re
from typing import Final
from urllib.parse import parse_qs, urlsplit

import attrs

from coco_corda.front.answers import RefusedError
from coco_corda.payloads import Proof
from coco_corda.refs import StateRef, parse_hash, sha256
from coco_corda.requests import Desk, RequestSignatureError, signed_text
from coco_core.adapter import HTTPRequest
from coco_core.errors import MalformedError

KEY, TIME, NONCE, SIGNATURE = (f"coco-corda-{name}" for name in ("key", "time", "nonce", "signature"))
_QUERY_FIELDS_MAX: Final = 2_000
_NUMBER: Final = re.compile(r"[0-9]{1,9}")


@attrs.frozen(kw_only=True)
class Call:
    """A request and its parts."""

    request: HTTPRequest
    parts: tuple[str, ...]
    """Of the path."""
    query: dict[str, list[str]]

    @classmethod
    def read(cls, request: HTTPRequest) -> Call:
        """Read a request's target; raises RefusedError."""
        try:
            split = urlsplit(request.target)
            query = parse_qs(split.query, keep_blank_values=True, max_num_fields=_QUERY_FIELDS_MAX)
        except ValueError:
            raise RefusedError(400, "the target cannot be read") from None
        return cls(request=request, parts=tuple(split.path.strip("/").split("/")), query=query)

    def text(self, name: str) -> str:
        """Return a field of the query, empty when absent."""
        return self.query.get(name, [""])[-1]

    def number(self, name: str, default: int, most: int) -> int:
        """Return a field that is a whole number; raises RefusedError."""
        text = self.text(name)
        if not text:
            return default
        if not text.isdecimal() or not text.isascii() or len(text) > 18:
            raise RefusedError(400, f"{name} is no whole number")
        return min(int(text), most)

    def numbers(self, name: str, most: int) -> list[int]:
        """Return whole numbers with commas between them; raises RefusedError."""
        words = [word for word in self.text(name).split(",") if word]
        if len(words) > most or not all(_NUMBER.fullmatch(word) for word in words):
            raise RefusedError(400, f"{name} are whole numbers, {most} at most")
        return [int(word) for word in words]

    def ref(self, text: str) -> StateRef:
        """Read the name of a state; raises RefusedError."""
        try:
            return StateRef.parse(text.replace("%28", "(").replace("%29", ")"))
        except MalformedError as error:
            raise RefusedError(400, str(error)) from None

    def digest(self, text: str) -> bytes:
        """Read a hash; raises RefusedError."""
        try:
            return parse_hash(text)
        except MalformedError as error:
            raise RefusedError(400, str(error)) from None

    def proof(self, notary_key: bytes) -> Proof | None:
        """Return what the request's headers say of who signed it, unchecked; None when it is not signed.

        Raises RefusedError when they cannot be read.
        """
        headers = self.request.headers
        if KEY not in headers and SIGNATURE not in headers:
            return None
        try:
            key, signature = (base64.b64decode(headers[name], validate=True) for name in (KEY, SIGNATURE))
            time_ms = int(headers[TIME]) if headers[TIME].isdecimal() else -1
            nonce = headers[NONCE]
        except (KeyError, ValueError):
            raise RefusedError(401, f"a signed request has {KEY}, {TIME}, {NONCE} and {SIGNATURE}") from None
        request = self.request
        text = signed_text(request.method, request.target, notary_key, time_ms, nonce, request.body)
        return Proof(key=key, text=text, signature=signature)

    def participant(self, desk: Desk, notary_key: bytes, now_ms: int) -> bytes:
        """Return the SHA-256 of the key that proved itself; raises RefusedError and BusyError."""
        proof = self.proof(notary_key)
        if proof is None:
            raise RefusedError(401, "this takes a signed request")
        try:
            desk.check(proof, now_ms)
        except RequestSignatureError as error:
            raise RefusedError(401, str(error)) from None
        return sha256(proof.key)
