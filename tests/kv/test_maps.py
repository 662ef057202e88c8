"""The name of a map decides who may read it in the ledger and who may write it."""

import pytest

from coco_core.kv import maps

BUILT_IN = [value for name, value in vars(maps).items() if name.isupper() and isinstance(value, str)]


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_maps_are_reserved_and_public_but_for_what_ledgers_were_told(name: str) -> None:
    assert maps.is_public(name) == (name != maps.FETCHED)
    assert maps.is_reserved(name) or name == maps.PUBLIC_PREFIX


@pytest.mark.parametrize(
    ("name", "public", "reserved"),
    [
        ("ethereum.accounts", False, False),
        ("public:ethereum.blocks", True, False),
        ("public:ccf.gov.users", True, True),
        ("public:ccf.internal.anything", True, True),
        ("public:coco.anything", True, True),
        ("coco.secrets", False, True),
        ("public", False, False),
        ("xpublic:", False, False),
        ("PUBLIC:coco.x", False, False),
        ("", False, False),
    ],
)
def test_domain_and_owner_of_a_name(name: str, public: bool, reserved: bool) -> None:
    assert maps.is_public(name) == public
    assert maps.is_reserved(name) == reserved


def test_singleton_key_is_eight_zero_bytes() -> None:
    assert maps.SINGLETON_KEY == b"\0" * 8
