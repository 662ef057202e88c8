"""What a JVM that contract code took over is not believed, and what contracts may not make too much of."""

from __future__ import annotations

import hashlib

import orjson
import pytest

from coco_corda import records, wire
from coco_corda.deciding import Decider
from coco_corda.limits import OUTPUTS_MAX_BYTES, PARTICIPANTS_MAX, STATES_MAX_BYTES
from coco_corda.notary_key import NotaryKey, Template
from coco_corda.payloads import Submission
from coco_corda.preparing import Prepared, Preparing
from coco_corda.refs import StateRef, sha256
from coco_corda.rejections import refused
from coco_corda.terms import Terms
from coco_corda.verification import Cause, Refused
from coco_core.adapter import ANONYMOUS, Applied, Outcome, Rejected, Writes
from coco_core.base.limits import REJECTION_SIZE_MAX_BYTES
from coco_core.kv import Store

PARAMETERS = bytes(32)
TERMS = Terms(network_parameters=frozenset([PARAMETERS]))
KEY = NotaryKey(bytes(32))
STATE = b"what it makes"
TEMPLATE = Template(12, bytes(64), 16)
OWN = wire.Party(name="O=Notary, L=London, C=GB", key=KEY.public_key)


def tx_id(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def described(name: str, output: bytes, *uses: wire.StateRef) -> wire.Description:
    return wire.Description(
        tx_id=tx_id(name),
        kind=wire.Description.WIRE,
        inputs=uses,
        output_count=1,
        output_hashes=[sha256(output)],
        network_parameters_hash=PARAMETERS,
    )


def verified(name: str, state: bytes, participants: int = 1) -> wire.Verified:
    keys = [number.to_bytes(4) for number in range(participants)]
    output = wire.OutputState(state=state, participants=keys, notary=OWN)
    return wire.Verified(tx_id=tx_id(name), outputs=[output])


class Batch:
    """A batch whose verdicts a test gives."""

    def __init__(self) -> None:
        self.written: Writes = {}
        self.state = Store().head().over(self.written)
        self.preparing = Preparing(self.state, TERMS, KEY.public_key)
        self.taken: list[Prepared] = []

    def take(self, name: str, *uses: wire.StateRef, output: bytes = STATE) -> Prepared:
        description = described(name, output, *uses)
        self.taken.append(self.preparing.take(Submission(stx=name.encode()), description))
        return self.taken[-1]

    def decide(self) -> list[Outcome]:
        decider = Decider(self.state, self.written, TERMS, KEY, 0, 1)
        return [decider.decide(ANONYMOUS, each, TEMPLATE) for each in self.taken]


def refusal(outcome: Outcome) -> str:
    assert isinstance(outcome, Rejected), outcome
    return f"{outcome.code}: {outcome.message}"


def test_it_says_nothing_of_transactions_that_others_execute() -> None:
    """Or their outputs, used in the same batch, would be what it says they are."""
    batch = Batch()
    batch.take("hostile")
    batch.take("honest")
    batch.take("uses honest", wire.StateRef(tx_id=tx_id("honest"), index=0))
    ready = batch.preparing.ready()
    assert [index for index, _ in ready] == [0, 1]
    batch.preparing.verified(1, verified("honest", STATE))
    batch.preparing.verified(0, verified("honest", b"forged"))
    ((index, job),) = batch.preparing.ready()
    assert [each.state for each in job.request.states] == [STATE]
    batch.preparing.verified(index, verified("uses honest", STATE))
    forged, honest, uses = batch.decide()
    assert "another transaction" in refusal(forged)
    assert isinstance(honest, Applied)
    assert isinstance(uses, Applied)


def kept(batch: Batch, count: int, output: bytes) -> list[wire.StateRef]:
    """Have so many states in the ledger."""
    refs = [wire.StateRef(tx_id=tx_id("kept"), index=index) for index in range(count)]
    row = records.State(params_hash=PARAMETERS, participants=(), output=output).pack()
    batch.written[records.STATE] = {StateRef(each.tx_id, each.index).key: row for each in refs}
    return refs


def test_states_that_are_many_bytes_are_not_brought_together() -> None:
    """Packed they may be few: whoever names them need not have them, and the node would hold them all."""
    batch = Batch()
    batch.take("all", *kept(batch, 1 + STATES_MAX_BYTES // OUTPUTS_MAX_BYTES, bytes(OUTPUTS_MAX_BYTES)))
    assert batch.preparing.ready() == []
    (refused_,) = batch.decide()
    assert "have more than" in refusal(refused_)


def test_what_is_verified_at_one_time_is_bounded_by_its_bytes() -> None:
    batch = Batch()
    half = STATES_MAX_BYTES // OUTPUTS_MAX_BYTES // 2
    refs = kept(batch, 5 * half, bytes(OUTPUTS_MAX_BYTES))
    for number in range(5):
        batch.take(f"half {number}", *refs[number * half : (number + 1) * half])
    waves = []
    while ready := batch.preparing.ready():
        waves.append([index for index, _ in ready])
        for index, _ in ready:
            batch.preparing.verified(index, verified(f"half {index}", STATE))
    assert waves == [[0, 1], [2, 3], [4]]
    assert all(isinstance(each, Applied) for each in batch.decide())


@pytest.mark.parametrize(
    "answer",
    [
        wire.Verified(),
        wire.Verified(tx_id=tx_id("one")),
        wire.Verified(tx_id=tx_id("one"), outputs=[wire.OutputState(state=STATE, notary=OWN)] * 2),
        verified("one", b"what it does not make"),
        verified("another", STATE),
    ],
)
def test_outputs_that_a_transaction_does_not_have_are_not_taken(answer: wire.Verified) -> None:
    batch = Batch()
    batch.take("one")
    batch.preparing.ready()
    batch.preparing.verified(0, answer)
    (outcome,) = batch.decide()
    assert "another transaction" in refusal(outcome)


@pytest.mark.parametrize(
    "ref",
    [
        wire.StateRef(tx_id=tx_id("one"), index=2**32 - 1),
        wire.StateRef(tx_id=bytes(48), index=0),
        wire.StateRef(tx_id=b"", index=0),
    ],
)
def test_what_names_no_state_is_invalid(ref: wire.StateRef) -> None:
    batch = Batch()
    batch.take("one", ref)
    assert batch.preparing.ready() == []
    (outcome,) = batch.decide()
    assert refusal(outcome).startswith("transaction-invalid: a state is named by")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (verified("one", STATE, PARTICIPANTS_MAX + 1), "participate"),
        (verified("one", bytes(OUTPUTS_MAX_BYTES + 1)), "bytes"),
    ],
)
def test_what_cannot_be_kept_is_invalid(answer: wire.Verified, message: str) -> None:
    batch = Batch()
    batch.take("one", output=answer.outputs[0].state)
    batch.preparing.ready()
    batch.preparing.verified(0, answer)
    (outcome,) = batch.decide()
    assert message in refusal(outcome)
    assert batch.written == {}


def test_as_many_participants_as_may_be_are_kept() -> None:
    batch = Batch()
    batch.take("one")
    batch.preparing.ready()
    batch.preparing.verified(0, verified("one", STATE, PARTICIPANTS_MAX))
    (outcome,) = batch.decide()
    assert isinstance(outcome, Applied)
    (row,) = outcome.writes[records.STATE].values()
    assert row is not None
    assert len(records.State.unpack(row).participants) == PARTICIPANTS_MAX


def test_a_refusal_is_told_however_long_the_names_of_exceptions_are() -> None:
    told = refused(Refused("K" * 100_000, [Cause("C" * 65_535, "\N{GRINNING FACE}" * 10_000)] * 16))
    assert len(told.data) + len(told.message.encode()) < REJECTION_SIZE_MAX_BYTES
    assert orjson.loads(told.data)["causes"][15]["message"].startswith("\N{GRINNING FACE}")
