"""Messages: the wire format, the notation, and that generated files are current."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.message import DecodeError

from coco_sawtooth import messages
from coco_sawtooth.messages import (
    Batch,
    BatchList,
    ClientBatchStatus,
    Event,
    Message,
    MessageType,
    SettingCandidate,
    SettingVote,
    TpReceiptAddDataRequest,
    TpRegisterRequest,
    Transaction,
    TransactionHeader,
)
from coco_sawtooth.messages.notation import make_classes, parse

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    path = ROOT / "tools" / "generate_sawtooth_messages.py"
    spec = importlib.util.spec_from_file_location("generate_sawtooth_messages", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_files_match_the_notation(generator):
    for name, text in generator.pages().items():
        written = generator.FOLDER / name
        assert written.read_text(encoding="utf-8") == text, f"run tools/{generator.__name__}.py"


def test_fields_have_the_numbers_of_the_protocol():
    header = TransactionHeader(payload_sha512="x", signer_public_key="y", dependencies=["d"])
    assert header.SerializeToString() == b"\x12\x01d" + b"\x4a\x01x" + b"\x52\x01y"
    assert TpReceiptAddDataRequest(data=b"r").SerializeToString() == b"\x1a\x01r"
    assert TpRegisterRequest(
        max_occupancy=5, request_header_style=TpRegisterRequest.RAW
    ).SerializeToString() == (b"\x28\x05\x38\x02")


def test_an_envelope_carries_kind_correlation_and_content():
    envelope = Message(message_type=MessageType.TP_PROCESS_REQUEST, correlation_id="c", content=b"\x01")
    raw = envelope.SerializeToString()
    assert raw == b"\x08\x05\x12\x01c\x1a\x01\x01"
    assert MessageType(Message.FromString(raw).message_type) is MessageType.TP_PROCESS_REQUEST
    assert Message.FromString(b"\x08\xe7\x07").message_type == 999


def test_messages_nest_and_enums_are_found_from_the_inside_out():
    batch_list = BatchList(batches=[Batch(transactions=[Transaction(payload=b"p")], trace=True)])
    assert BatchList.FromString(batch_list.SerializeToString()).batches[0].transactions[0].payload == b"p"
    assert Event(attributes=[Event.Attribute(key="k", value="v")]).attributes[0].value == "v"
    candidate = SettingCandidate(votes=[SettingCandidate.VoteRecord(public_key="k", vote=SettingVote.ACCEPT)])
    assert candidate.votes[0].vote == 1
    status = ClientBatchStatus(status=ClientBatchStatus.INVALID)
    status.invalid_transactions.add(transaction_id="t", extended_data=b"e")
    assert ClientBatchStatus.FromString(status.SerializeToString()) == status


@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\x05ab", b"\x12\x02\xff\xfe"])
def test_what_is_not_protobuf_does_not_decode(raw):
    with pytest.raises(DecodeError):
        Batch.FromString(raw)


def test_unknown_fields_survive():
    raw = TransactionHeader(nonce="n").SerializeToString() + b"\xba\x3e\x01z"
    assert TransactionHeader.FromString(raw).SerializeToString() == raw


def test_the_pool_is_our_own():
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName("Batch")
    again = make_classes(parse("Batch: other string 1"))
    assert again["Batch"](other="x") != Batch()


def test_every_message_is_exported():
    assert {name for name in dir(messages) if name.startswith(("Client", "Tp"))} <= set(messages.__all__)


@pytest.mark.parametrize("text", ["Batch", "  Status: A 0", "A: field"])
def test_a_line_without_a_meaning_is_refused(text):
    with pytest.raises((ValueError, TypeError)):
        list(parse(text))


def test_a_type_nobody_defines_is_refused():
    with pytest.raises(ValueError, match=r"A\.b: no type 'Nothing'"):
        make_classes(parse("A: b Nothing 1"))
