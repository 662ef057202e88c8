"""URLs are read in one way or not at all; what was fetched is written in one way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_core.adapter import Fetched, FetchRecord, Origin, read_fetch_record
from coco_core.adapter.fetching import check_origin, encode_fetch_record
from coco_core.base import limits
from coco_core.errors import FetchError, IntegrityError
from coco_core.wire import cbor

READ = {
    "https://a.example/x?y=%2F": ("https://a.example", "a.example", 443, True, "/x?y=%2F"),
    "https://a.example": ("https://a.example", "a.example", 443, True, "/"),
    "https://a.example:8443/": ("https://a.example:8443", "a.example", 8443, True, "/"),
    "https://127.0.0.1:80/": ("https://127.0.0.1:80", "127.0.0.1", 80, True, "/"),
    "http://[::1]:9/a@b:c": ("http://[::1]:9", "::1", 9, False, "/a@b:c"),
    "https://xn--bcher-kva.example/": (
        "https://xn--bcher-kva.example",
        "xn--bcher-kva.example",
        443,
        True,
        "/",
    ),
}


@pytest.mark.parametrize("url", READ)
def test_a_url_says_whom_to_ask_for_what(url: str) -> None:
    origin = Origin.of(url)
    found = origin.text, origin.host, origin.port, origin.encrypted, origin.target
    assert found == READ[url]


HOSTILE = [
    "",
    "a.example",
    "//a.example/",
    "ftp://a.example/",
    "file:///etc/passwd",
    "HTTPS://a.example/",
    "https://A.example/",
    "https:/a.example/",
    "https:///a.example/",
    "https://a.example@b.example/",
    "https://a.example:x@b.example/",
    "https://a.example%40b.example/",
    "https://a.example\\@b.example/",
    "https://a.example#@b.example/",
    "https://a.example/#part",
    "https://a.example?x",
    "https://a.example:/",
    "https://a.example:443/",
    "http://a.example:80/",
    "https://a.example:0443/",
    "https://a.example:0/",
    "https://a.example:65536/",
    "https://a.example:99999999999/",
    "https://a.example:8x/",
    "https://a.example:\uff18/",
    "https://a.example:1:2/",
    "https://a.example./",
    "https://.a.example/",
    "https://a..example/",
    "https://-a.example/",
    f"https://{'a' * 64}.example/",
    "https://bücher.example/",
    "https://\uff41.example/",
    "https://a\u3002example/",
    "https://a.exampl\u0435/",
    "https://a_b.example/",
    "https://127.1/",
    "https://2130706433/",
    "https://0177.0.0.1/",
    "https://127.0.0.01/",
    "https://::1/",
    "https://[::1/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[fe80::1%25eth0]/",
    "https://[127.0.0.1]/",
    "https://[a.example]/",
    "https://[]/",
    " https://a.example/",
    "https://a.example/ ",
    "https://a.example/\n",
    "https://a.example/x y",
    "https://a.example/\r\nhost: b.example",
    "https://a.example/\x00",
    "https://a.example/%",
    "https://a.example/%zz",
    "https://a.example/ü",
    "https://a.example/<>",
    "https://a.example/" + "x" * limits.FETCH_URL_SIZE_MAX_BYTES,
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_url_that_might_be_read_in_two_ways_is_not_read(url: str) -> None:
    with pytest.raises(FetchError) as caught:
        Origin.of(url)
    assert caught.value.code == "malformed-url"


def test_what_is_no_text_is_no_url() -> None:
    for value in (None, 1, b"https://a.example/", ["https://a.example/"]):
        with pytest.raises(FetchError):
            Origin.of(value)  # type: ignore[arg-type] # what callers may hand in


@given(st.text(alphabet="htps:/[]@.%#?\\a1-", max_size=30).map("https://a.example".__add__))
def test_what_is_read_begins_with_its_origin_and_that_says_the_host(url: str) -> None:
    try:
        origin = Origin.of(url)
    except FetchError:
        return
    assert url == origin.text or url.startswith(origin.text + "/")
    assert origin.text.partition("://")[2].split(":")[0] == origin.host


@pytest.mark.parametrize(
    "origin", ["https://a.example", "https://10.0.0.1:8443", "http://127.0.0.1:8000", "http://[::1]"]
)
def test_an_origin_that_may_be_allowed(origin: str) -> None:
    check_origin(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "https://a.example/",
        "https://a.example/x",
        "http://a.example",
        "http://10.0.0.1",
        "http://localhost:8000",
        "http://127.0.0.1.example",
        "http://[::2]",
        "https://*.example",
        "*",
        7,
        None,
    ],
)
def test_an_origin_that_may_not(origin: object) -> None:
    with pytest.raises(ValueError, match=r"URL|origin|http|host name"):
        check_origin(origin)


RECORD = FetchRecord(
    time_ms=7,
    fetched=(Fetched("https://a.example/", 200, b"1"), Fetched("https://a.example/", 0, b"", "timeout")),
)


def test_a_record_is_read_as_it_was_written() -> None:
    assert read_fetch_record(encode_fetch_record(RECORD)) == RECORD


ONE = {"url": "", "status": 1, "body": b"", "failure": ""}


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        {"time_ms": 1},
        {"time_ms": "1", "fetched": []},
        {"time_ms": 1, "fetched": {}},
        {"time_ms": 1, "fetched": [], "more": 1},
        {"time_ms": 1, "fetched": [1]},
        {"time_ms": 1, "fetched": [{**ONE, "more": 1}]},
        {"time_ms": 1, "fetched": [{**ONE, "status": b""}]},
        {"time_ms": 1, "fetched": [{**ONE, "body": ""}]},
    ],
)
def test_what_is_no_record(value: object) -> None:
    with pytest.raises(IntegrityError):
        read_fetch_record(cbor.encode(value))
    with pytest.raises(IntegrityError):
        read_fetch_record(encode_fetch_record(RECORD) + b"\x00")
