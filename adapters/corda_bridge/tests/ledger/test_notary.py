"""The ledger as a notary: R3's own contracts in a real JVM, and Corda's own error for each refusal."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from coco_corda import records
from coco_corda.deciding import claims
from coco_corda.development import development_seed
from coco_corda.notary_key import NotaryKey
from coco_corda.payloads import Proof, Submission
from coco_corda.refs import StateRef, hash_text, rehash, sha256
from coco_corda.requests import signed_text
from coco_corda.testing import Ledger, Samples, Signer
from coco_core.adapter import Applied, Outcome, Rejected

INVALID = "NotaryError.TransactionInvalid"


def refusal(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Rejected), outcome
    found: dict[str, Any] = orjson.loads(outcome.data)
    return found


async def test_money_is_issued_moved_and_redeemed(ledger: Ledger, samples: Samples) -> None:
    (issued,) = await ledger.execute(samples["issue"])
    assert isinstance(issued, Applied), issued
    receipt = ledger.receipt(issued)
    assert not receipt.is_notarised, "an issuance needs no notary; it is recorded all the same"
    ref = StateRef(receipt.tx_id, 0)
    assert records.has_state(ledger.view(), ref)
    (moved,) = await ledger.execute(samples["move"])
    receipt = ledger.receipt(moved)
    assert receipt.is_notarised
    assert records.consumer_of(ledger.view(), ref) == receipt.tx_id
    assert isinstance(moved, Applied)
    assert moved.claims == claims(receipt)
    (redeemed,) = await ledger.execute(samples["exit"])
    assert ledger.receipt(redeemed).is_notarised


async def test_what_depends_on_each_other_may_come_in_one_batch(ledger: Ledger, samples: Samples) -> None:
    names = ("issue", "move", "exit")
    outcomes = await ledger.execute(*(samples[name] for name in names))
    assert [isinstance(each, Applied) for each in outcomes] == [True] * 3, outcomes


async def test_in_one_batch_the_first_of_two_that_want_a_state_has_it(
    ledger: Ledger, samples: Samples
) -> None:
    """What depends on the other is refused with it."""
    names = ("issue", "move-again", "move", "exit")
    outcomes = await ledger.execute(*(samples[name] for name in names))
    assert isinstance(outcomes[1], Applied)
    assert refusal(outcomes[2])["type"] == "NotaryError.Conflict"
    assert refusal(outcomes[3])["cause"] == "TransactionResolutionException"


async def test_a_conflict_reveals_nothing_but_the_hash(ledger: Ledger, samples: Samples) -> None:
    _, moved = await ledger.execute(samples["issue"], samples["move"])
    receipt = ledger.receipt(moved)
    (again,) = await ledger.execute(samples["move-again"])
    told = refusal(again)
    assert told["type"] == "NotaryError.Conflict"
    ((name, consumed),) = told["consumedStates"].items()
    assert records.consumer_of(ledger.view(), StateRef.parse(name)) == receipt.tx_id
    assert consumed == {
        "hashOfTransactionId": hash_text(rehash(receipt.tx_id)),
        "type": "INPUT_STATE",
    }
    assert isinstance(again, Rejected)
    assert receipt.tx_id not in again.data
    assert hash_text(receipt.tx_id) not in again.data.decode() + again.message


async def test_notarising_again_gives_the_same_receipt(ledger: Ledger, samples: Samples) -> None:
    (first,) = await ledger.execute(samples["valid-0"])
    assert isinstance(first, Applied)
    ledger.time_ms += 200 * 366 * 86_400_000  # The window ended long ago.
    (again,) = await ledger.execute(samples["valid-0"])
    assert again == Rejected("committed-before", "this transaction is committed already", first.receipt)


@pytest.mark.parametrize(
    ("name", "type_", "cause"),
    [
        (
            "rejected-0",
            INVALID,
            "TransactionVerificationException.ContractRejection",
        ),
        ("unsigned", INVALID, "SignedTransaction.SignaturesMissingException"),
        ("below-zero", INVALID, "IllegalArgumentException"),
        ("of-another-hash", INVALID, "IllegalArgumentException"),
        ("too-late", "NotaryError.TimeWindowInvalid", None),
        ("other-notary", INVALID, INVALID),
        (
            "later-parameters",
            INVALID,
            "TransactionResolutionException.UnknownParametersException",
        ),
    ],
)
async def test_refusals_have_cordas_own_types(
    ledger: Ledger, samples: Samples, name: str, type_: str, cause: str | None
) -> None:
    await ledger.execute(samples["issue"])
    (outcome,) = await ledger.execute(samples[name])
    told = refusal(outcome)
    assert told["type"] == type_, told
    assert told.get("cause") == cause


async def test_a_contract_is_told_in_its_own_words(ledger: Ledger, samples: Samples) -> None:
    (outcome,) = await ledger.execute(samples["rejected-1"])
    messages = [each["message"] for each in refusal(outcome)["causes"]]
    assert any("output states are issued by a command signer" in each for each in messages), messages


@pytest.mark.parametrize("name", ["stolen", "seen", "unsigned"])
async def test_who_does_not_participate_learns_nothing_of_a_state_from_a_contracts_words(
    ledger: Ledger, samples: Samples, name: str
) -> None:
    """Whoever knows a state's name may use it, wrongly: the ledger adds what is in it."""
    await ledger.execute(samples["issue"])
    (outcome,) = await ledger.execute(samples[name])
    told = refusal(outcome)
    assert (told["type"], told["causes"]) == (INVALID, [])
    assert told["cause"].startswith(("TransactionVerificationException.", "SignedTransaction."))
    assert isinstance(outcome, Rejected)
    assert b"Alice" not in outcome.data


async def test_who_participates_is_told_everything(ledger: Ledger, samples: Samples) -> None:
    await ledger.execute(samples["issue"])
    (doubled,) = await ledger.execute(samples["doubled"])
    assert "the amounts balance" in refusal(doubled)["message"]
    alice = Signer.read(samples["alice-private"], NotaryKey(development_seed()).public_key)
    text = signed_text("POST", "/transactions", alice.notary_key, ledger.time_ms, "n" * 16, samples["stolen"])
    proof = Proof(key=alice.key, text=text, signature=alice.private.sign(text))
    (stolen,) = await ledger.execute(Submission(stx=samples["stolen"], proof=proof))
    assert "owning keys are a subset of the signing keys" in refusal(stolen)["message"]


async def test_code_that_is_not_trusted_any_more_does_not_run(ledger: Ledger, samples: Samples) -> None:
    ledger.configured["trusted_attachments"] = ""
    (outcome,) = await ledger.execute(samples["valid-0"])
    told = refusal(outcome)
    assert told["cause"] == "TransactionVerificationException.UntrustedAttachmentsException", told
    ledger.configured["trusted_attachments"] = hash_text(sha256(samples["jar"]))
    (outcome,) = await ledger.execute(samples["valid-0"])
    assert isinstance(outcome, Applied)


async def test_a_state_whose_bytes_were_changed_is_found_out(
    corda_with_forged: Ledger, samples: Samples
) -> None:
    """Not by the commit rule: its contract adds up what the state says."""
    (outcome,) = await corda_with_forged.execute(samples["left-0"])
    told = refusal(outcome)
    assert told["cause"] == "TransactionVerificationException.ContractRejection"
    assert any("the amounts balance" in each["message"] for each in told["causes"])


async def test_a_reference_is_read_and_stays(ledger: Ledger, samples: Samples) -> None:
    await ledger.execute(samples["issue"])
    (outcome,) = await ledger.execute(samples["reference"])
    assert ledger.receipt(outcome).is_notarised
    (moved,) = await ledger.execute(samples["move"])
    assert isinstance(moved, Applied)
