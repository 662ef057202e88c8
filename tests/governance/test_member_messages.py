"""What members are told to post is what the service expects there."""

import pytest

from coco_core.governance import MemberMessage
from coco_core.governance.member_requests import match_path, read_ballot, read_content

MEMBER, PROPOSAL = "ab" * 32, "cd" * 32


@pytest.mark.parametrize(
    ("message", "names"),
    [
        (MemberMessage.proposal([]), {}),
        (MemberMessage.proposal_of(b"{}"), {}),
        (MemberMessage.ballot(MEMBER, PROPOSAL, True), {"proposal": PROPOSAL, "member": MEMBER}),
        (MemberMessage.withdrawal(PROPOSAL), {"proposal": PROPOSAL}),
        (MemberMessage.state_digest(MEMBER), {"member": MEMBER}),
        (MemberMessage.acknowledgement(MEMBER, "00"), {"member": MEMBER}),
    ],
)
def test_path_is_that_of_the_kind(message: MemberMessage, names: dict[str, str]) -> None:
    assert match_path(message.path) == (message.kind, names)
    assert message.proposal_id == names.get("proposal")


def test_payloads_are_read_back() -> None:
    actions = [{"name": "set_user", "args": {"cert": "…"}}]
    assert read_content(MemberMessage.proposal(actions).payload) == {"actions": actions}
    assert read_ballot(MemberMessage.ballot(MEMBER, PROPOSAL, False).payload) == {"vote": False}
    assert read_ballot(MemberMessage.ballot(MEMBER, PROPOSAL, "def").payload) == {"ballot": "def"}
