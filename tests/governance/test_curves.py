"""Members sign on any of our curves, each with its own algorithm."""

from __future__ import annotations

import json

import cbor2
import pytest

from coco_core.crypto import Curve
from coco_core.errors import MemberError
from coco_core.governance import assemble, check_signature, read_signed_request, to_be_signed
from coco_core.testing.members import Signatory


@pytest.mark.parametrize("curve", list(Curve), ids=lambda curve: curve.value)
def test_each_curve_has_its_own_algorithm(curve: Curve) -> None:
    member = Signatory.make("member", curve=curve)
    message = member.sign("proposal", {"actions": []})
    request = read_signed_request(message)
    check_signature(request, member.certificate)
    assert json.loads(request.payload) == {"actions": []}
    other = Signatory.make("other", curve=curve)
    with pytest.raises(MemberError, match="not signed by member"):
        check_signature(request, other.certificate)


@pytest.mark.parametrize("curve", list(Curve), ids=lambda curve: curve.value)
def test_a_signature_under_the_algorithm_of_another_curve(curve: Curve) -> None:
    member = Signatory.make("member", curve=curve)
    for other in (Signatory.make("other", curve=other) for other in Curve if other is not curve):
        made = cbor2.loads(other.sign("proposal", {"actions": []}))
        header = cbor2.loads(made.value[0]) | {4: member.member_id.encode()}
        protected = cbor2.dumps(header, canonical=True)
        signature = member.key.sign_raw(to_be_signed(protected, made.value[2]))
        forged = read_signed_request(assemble(protected, made.value[2], signature))
        with pytest.raises(MemberError, match="is not that of the member's key"):
            check_signature(forged, member.certificate)
