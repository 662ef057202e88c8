"""The one hash, against the example of FIPS 180-4."""

from coco_core.crypto import DIGEST_SIZE_BYTES, sha256


def test_example_of_the_standard() -> None:
    digest = sha256(b"abc")
    assert digest.hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert len(digest) == DIGEST_SIZE_BYTES
    assert sha256(memoryview(b"xabc")[1:]) == digest
