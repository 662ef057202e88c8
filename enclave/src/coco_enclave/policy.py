"""Which evidence is accepted: pure data, the same for everybody who judges.

What is not said is refused: without measurements no code, without an anchor no platform, never a debug build.
``PlatformPolicy.rules`` holds what only one kind of platform has; its verifier reads it, strictly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
import cbor2
import orjson

from coco_core.attestation import check_named_once
from coco_enclave import limits
from coco_enclave.errors import EvidenceError
from coco_enclave.evidence import check_size
from coco_enclave.fields import Fields

ANY: Final = "any"
UP_TO_DATE: Final = "UpToDate"


@attrs.frozen(kw_only=True)
class PlatformPolicy:
    """What is accepted of one kind of evidence."""

    measurements: frozenset[str] | None = frozenset()
    """Accepted code, lower-case hex; None accepts any, for looking at evidence or with ``signers``."""
    signers: frozenset[str] = frozenset()
    """Accepted signers of the code, lower-case hex; empty: not asked."""
    minimum_svn: int = 0
    """The oldest security version of the code that is accepted."""
    debug: bool = False
    """Whether builds whose memory their owner can read are accepted: never where anything is at stake."""
    anchors: frozenset[str] = frozenset()
    """Trusted roots, SHA-256 of their certificates."""
    simulator_anchors: frozenset[str] = frozenset()
    """Roots of simulators; what they sign is accepted with a warning, and proves nothing."""
    denied_products: frozenset[str] = frozenset()
    """Products of the vendor that are not accepted, whatever the state of their firmware."""
    minimum_tcb: str = ""
    """The oldest state of the firmware that is accepted, in the platform's notation; empty: not asked."""
    tcb_statuses: frozenset[str] = frozenset({UP_TO_DATE})
    """What the vendor may say of the state of the firmware."""
    allowed_advisories: frozenset[str] = frozenset()
    """Advisories that may be open where the vendor's word is another than up to date."""
    denied_advisories: frozenset[str] = frozenset()
    """Advisories that may not be open, whatever the vendor says."""
    rules: Mapping[str, Any] = attrs.field(factory=dict)
    """What only this kind of platform has, as JSON values."""


_UNSET: Final = PlatformPolicy()
_NO_ANCHORS: Final[Mapping[str, frozenset[str]]] = {}


@attrs.frozen(kw_only=True)
class TeePolicy:
    """The TEE manifest: what is accepted, by kind of evidence."""

    platforms: Mapping[str, PlatformPolicy]

    @property
    def digest(self) -> str:
        """SHA-256 over the policy, in hex: which one a verdict was reached by."""
        return hashlib.sha256(cbor2.dumps(policy_to_json(self), canonical=True)).hexdigest()

    def of(self, kind: str) -> PlatformPolicy:
        """Return what is accepted of one kind of evidence; raises EvidenceError (``platform``)."""
        if kind not in self.platforms:
            raise EvidenceError("platform", f"platform {kind[:64]!r} is not accepted by this policy")
        return self.platforms[kind]


def policy_to_json(policy: TeePolicy) -> dict[str, Any]:
    """Return a policy as JSON values, the same for equal policies."""
    return {"platforms": {kind: _platform_to_json(one) for kind, one in sorted(policy.platforms.items())}}


def _platform_to_json(policy: PlatformPolicy) -> dict[str, Any]:
    value: dict[str, Any] = attrs.asdict(policy, recurse=False)
    for name, one in value.items():
        if isinstance(one, frozenset):
            value[name] = sorted(one)
    value["measurements"] = ANY if policy.measurements is None else sorted(policy.measurements)
    value["rules"] = dict(policy.rules)
    return value


def check_known(policy: PlatformPolicy, name: str, is_known: Callable[[str], object], known: str) -> None:
    """Check that all a field names can exist, because a misspelt denial denies nothing.

    ``known`` says what can. Raises EvidenceError (``policy``).
    """
    for one in sorted(getattr(policy, name)):
        if not is_known(one):
            raise EvidenceError("policy", f"{name!r}: {one[:64]!r} is not {known}")


def check_meaningless(policy: PlatformPolicy, kind: str, *names: str) -> None:
    """Check that fields which this kind does not ask are left alone; raises EvidenceError (``policy``).

    Whoever sets one believes that it protects.
    """
    for name in names:
        if getattr(policy, name) != getattr(_UNSET, name):
            raise EvidenceError("policy", f"{name!r} says nothing of {kind}: leave it out")


def policy_from_json(value: object, anchors: Mapping[str, frozenset[str]] = _NO_ANCHORS) -> TeePolicy:
    """Read what policy_to_json returned; raises EvidenceError (``policy``).

    What is left out is at its default; of roots that are ``anchors``, by kind. The file may say that it is
    for development: whether what a simulator signs may *join* is for the core to judge, and a verdict says
    that it is one.
    """
    fields = Fields(value, "the policy")
    fields.flag("development", False)
    platforms = fields.mapping("platforms")
    fields.finish()
    return TeePolicy(
        platforms={
            kind: platform_from_json(one, kind, anchors.get(kind, frozenset()))
            for kind, one in platforms.items()
        }
    )


def platform_from_json(value: object, kind: str, anchors: frozenset[str] = frozenset()) -> PlatformPolicy:
    """Read the policy of one kind of evidence, with ``anchors`` if it names none.

    Raises EvidenceError (``policy``).
    """
    fields = Fields(value, f"the policy of {kind[:64]!r}")
    policy = PlatformPolicy(
        measurements=fields.digests_or_any("measurements"),
        signers=fields.digests("signers"),
        minimum_svn=fields.number("minimum_svn", 0),
        debug=fields.flag("debug", False),
        anchors=fields.digests("anchors", anchors),
        simulator_anchors=fields.digests("simulator_anchors"),
        denied_products=fields.texts("denied_products"),
        minimum_tcb=fields.text("minimum_tcb", ""),
        tcb_statuses=fields.texts("tcb_statuses", frozenset({UP_TO_DATE})),
        allowed_advisories=fields.texts("allowed_advisories"),
        denied_advisories=fields.texts("denied_advisories"),
        rules=fields.mapping("rules"),
    )
    fields.finish()
    return policy


def read_policy(data: bytes, anchors: Mapping[str, frozenset[str]] = _NO_ANCHORS) -> TeePolicy:
    """Read the file a policy is kept in; raises EvidenceError (``policy``, ``size``).

    ``anchors`` are trusted where the file names no roots, by kind.
    """
    check_size("the policy", data, limits.POLICY_SIZE_MAX_BYTES)
    try:
        value = orjson.loads(data)
        check_named_once(data)
    except ValueError as error:
        raise EvidenceError("policy", f"the policy cannot be read: {error}") from error
    return policy_from_json(value, anchors)
