"""Families that are built in: whatever they are given, they say valid or invalid and raise nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_sawtooth import messages
from coco_sawtooth.batches import Transaction
from coco_sawtooth.contexts import Context
from coco_sawtooth.execution import Invalid, Valid
from coco_sawtooth.families import BUILT_IN, apply_built_in
from coco_sawtooth.settings_family import AUTHORIZED_KEYS, PROPOSALS, setting_address, with_setting

SIGNER = "02" + "ab" * 32
ANYTHING = st.binary(max_size=60)
TEXT = st.text(max_size=20)
PAYLOADS = st.one_of(
    ANYTHING,
    st.builds(
        lambda action, data: messages.SettingsPayload(action=action, data=data).SerializeToString(),
        st.integers(0, 3),
        st.one_of(
            ANYTHING,
            st.builds(
                lambda setting, value: messages.SettingProposal(
                    setting=setting, value=value
                ).SerializeToString(),
                st.one_of(TEXT, st.sampled_from([AUTHORIZED_KEYS, PROPOSALS])),
                TEXT,
            ),
        ),
    ),
)


class Everything(dict[bytes, bytes]):
    """State that has the same value everywhere."""

    def __init__(self, value: bytes) -> None:
        super().__init__()
        self._value = value

    def get(self, key, default=None):
        del key, default
        return self._value


@pytest.mark.parametrize("family", BUILT_IN)
@given(payload=PAYLOADS, stored=ANYTHING, authorized=st.booleans())
def test_any_payload_over_any_state_is_valid_or_invalid(family, payload, stored, authorized):
    header = messages.TransactionHeader(
        family_name=family[0], family_version=family[1], signer_public_key=SIGNER
    )
    transaction = Transaction("ab" * 64, header, b"", payload, ("",), ("",))
    known: dict[bytes, bytes | None] = {}
    if authorized:
        known[bytes.fromhex(setting_address(AUTHORIZED_KEYS))] = with_setting(b"", AUTHORIZED_KEYS, SIGNER)
    context = Context(("",), ("",), (known, Everything(stored)))
    assert isinstance(apply_built_in(transaction, context, 1_700_000_000), Valid | Invalid)
