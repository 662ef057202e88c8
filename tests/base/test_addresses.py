"""Addresses: what a resolver would choke on is refused before it is asked."""

from __future__ import annotations

import pytest

from coco_core.base import split_address

LONGEST = ".".join(["a" * 63] * 3 + ["b" * 61])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("127.0.0.1:1", ("127.0.0.1", 1)),
        ("[::1]:65535", ("::1", 65535)),
        ("node-0.example.org:9645", ("node-0.example.org", 9645)),
        ("localhost:80", ("localhost", 80)),
        (f"{LONGEST}:80", (LONGEST, 80)),
    ],
)
def test_addresses(text: str, parts: tuple[str, int]) -> None:
    assert split_address(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":80",
        "a",
        "a..b:80",
        ".a:80",
        "a.:80",
        "a" * 64 + ":80",
        LONGEST + "c:80",
        "-a:80",
        "a-:80",
        "a_b:80",
        "ä:80",
        "a b:80",
        "a\n:80",
        "1.2.3:80",
        "1.2.3.256:80",
        "127.0.0.1.:80",
        "::1:80",
        "[::1:80",
        "[127.0.0.1]:80",
        "[a]:80",
        "[fe80::1%eth0]:80",
        "a:0",
        "a:65536",
        "a:99999",
        "a:",
        "a:²",
        "a:8 0",
        "a:-1",
        "a:80\n",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"address|port|scope"):
        split_address(text)
