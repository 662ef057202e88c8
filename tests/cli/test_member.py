"""A member's files, what is typed becomes a request, and signatures made elsewhere in all their forms."""

from __future__ import annotations

import base64
import hashlib
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coco_core.cli.member_external import Unsigned
from coco_core.cli.member_keys import MemberFiles, make_member, read_signer
from coco_core.cli.member_requests import printable, proposal_of
from coco_core.crypto import Curve, PrivateKey, read_certificate
from coco_core.errors import OperatorError
from coco_core.governance import MemberMessage, read_signed_request, to_be_signed

Coco = Callable[..., Any]

FORMS: dict[str, Callable[[PrivateKey, bytes], bytes]] = {
    "raw": lambda key, signed: key.sign_raw(signed),
    "der": lambda key, signed: key.sign(signed),
    "json": lambda key, signed: json.dumps(
        {"value": base64.urlsafe_b64encode(key.sign_raw(signed)).decode().rstrip("=")}
    ).encode(),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> MemberFiles:
    return make_member(tmp_path_factory.mktemp("keys") / "a", "Bank A")


@pytest.fixture(scope="module", params=list(Curve), ids=lambda curve: curve.value)
def on_curve(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MemberFiles:
    """The files of a member whose key is on one of the curves."""
    return make_member(tmp_path_factory.mktemp("keys") / "a", "Bank A", request.param)


def test_keys_are_for_their_owner_only_and_never_overwritten(coco: Coco, tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    ran = coco("member", "keygen", folder, "--name", "Bank B")
    assert ran.status == 0, ran.err
    found = MemberFiles(folder)
    assert {path.name for path in folder.iterdir()} == {path.name for path in found.all}
    for path in (found.key, found.encryption_key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    certificate = read_certificate(found.certificate.read_text())
    assert certificate.subject == "CN=Bank B"
    assert certificate.public_key.curve is Curve.P384
    assert certificate.fingerprint in ran.out
    assert coco("member", "id", "--cert", found.certificate).out.strip() == certificate.fingerprint
    before = [path.read_bytes() for path in found.all]
    again = coco("member", "keygen", folder)
    assert (again.status, len(again.err.splitlines())) == (2, 1)
    assert [path.read_bytes() for path in found.all] == before


def test_a_new_certificate_over_the_same_key(coco: Coco, tmp_path: Path) -> None:
    files, new = make_member(tmp_path / "a", "A"), tmp_path / "new.pem"
    given = ("--cert", str(files.certificate), "--key", str(files.key), "--out", str(new))
    said = coco("member", "recertify", *given)
    old, made = (read_certificate(path.read_text()) for path in (files.certificate, new))
    assert (made.public_key, made.subject) == (old.public_key, old.subject)
    assert made.not_after >= old.not_after
    assert f"becomes {made.fingerprint}" in said.out
    other = make_member(tmp_path / "b", "B")
    said = coco("member", "recertify", "--cert", str(other.certificate), *given[2:])
    assert said.status != 0


def test_key_of_somebody_else_is_noticed_before_anything_is_sent(files: MemberFiles, tmp_path: Path) -> None:
    other = make_member(tmp_path, "Bank B")
    with pytest.raises(OperatorError, match="is not the certificate of"):
        read_signer(files.certificate, other.key)
    with pytest.raises(OperatorError):
        read_signer(files.key, files.key)
    with pytest.raises(OperatorError):
        read_signer(files.certificate, tmp_path / "none")


def test_a_key_on_another_curve(coco: Coco, tmp_path: Path) -> None:
    ran = coco("member", "keygen", tmp_path / "keys", "--curve", "P-521")
    assert ran.status == 0, ran.err
    signer = read_signer(MemberFiles(tmp_path / "keys").certificate, MemberFiles(tmp_path / "keys").key)
    assert signer.key.public.curve is Curve.P521
    ran = coco("member", "keygen", tmp_path / "more", "--curve", "P-224")
    assert ran.status == 2
    assert not (tmp_path / "more").exists()


def test_arguments_are_json_or_texts_or_files(tmp_path: Path) -> None:
    (tmp_path / "text").write_text('"as it is"\n')
    args = ["a=5", 'b={"x": [true]}', "c=plain text", 'd="5"', f"e=@{tmp_path / 'text'}", "f=x=y"]
    content = json.loads(proposal_of(None, "act", args).payload)
    values = {"a": 5, "b": {"x": [True]}, "c": "plain text", "d": "5", "e": '"as it is"\n', "f": "x=y"}
    assert content == {"actions": [{"name": "act", "args": values}]}


@pytest.mark.parametrize(
    "words",
    [
        ("propose",),
        ("propose", "--action", "act", "--arg", "novalue"),
        ("propose", "a-file", "--action", "act"),
        ("propose", "a-file", "--arg", "x=1"),
        ("vote", "0" * 64),
    ],
)
def test_what_is_typed_wrongly_is_usage(
    coco: Coco, files: MemberFiles, tmp_path: Path, words: tuple[str, ...]
) -> None:
    ran = coco("member", "prepare", *words, "--cert", files.certificate, "--out", tmp_path / "out")
    assert ran.status == 2
    assert "Usage:" in ran.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", FORMS)
def test_signature_made_elsewhere(coco: Coco, on_curve: MemberFiles, tmp_path: Path, form: str) -> None:
    files = on_curve
    request = tmp_path / "request"
    words = ("member", "prepare", "withdraw", "0" * 64, "--cert", files.certificate, "--out", request)
    assert coco(*words).status == 0
    assert coco(*words).status == 2, "nothing is overwritten"
    unsigned = Unsigned.read(request)
    signed = (tmp_path / "request.tbs").read_bytes()
    said = json.loads(request.read_text())
    digest = hashlib.new(f"sha{said['alg'].removeprefix('ES')}", signed).digest()
    assert base64.b64decode(said["value"]) == digest
    assert signed == to_be_signed(unsigned.protected, unsigned.payload)
    key = PrivateKey.from_pem(files.key.read_text())
    message = read_signed_request(unsigned.signed(FORMS[form](key, signed)))
    assert (message.kind, message.proposal_id) == ("withdrawal", "0" * 64)


@pytest.mark.parametrize(
    "signature", [b"", bytes(96), b"{}", b'{"value": 5}', b"{", b'{"value": "!"}', bytes(64)]
)
def test_signature_that_does_not_serve(files: MemberFiles, signature: bytes) -> None:
    unsigned = Unsigned.of(MemberMessage.withdrawal("0" * 64), files.certificate.read_text())
    with pytest.raises(OperatorError, match="the signature does not serve"):
        unsigned.signed(signature)


@pytest.mark.parametrize("text", ["", "{}", "[]", "{", '{"path": 5}', '{"path": "", "certificate": ""}'])
def test_file_that_prepare_did_not_write(tmp_path: Path, text: str) -> None:
    (tmp_path / "request").write_text(text)
    with pytest.raises(OperatorError, match="is not what 'prepare' writes"):
        Unsigned.read(tmp_path / "request")


def test_nothing_moves_the_terminals_cursor() -> None:
    assert printable("a\tb\n\x1b[2Jc\u202ed") == "a\tb\n\\x1b[2Jc\\u202ed"
