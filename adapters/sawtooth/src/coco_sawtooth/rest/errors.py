"""Errors as the REST interface tells them: a code for programs, a status, a headline, a sentence.

Codes, headlines and sentences are what Sawtooth's clients know; those of ours say more where that helps
whoever asks. Knows nothing of what went wrong where.
"""

from __future__ import annotations

from typing import Final

import attrs


@attrs.frozen
class Problem:
    """One kind of error."""

    code: int
    status: int
    title: str
    message: str


class RestError(Exception):
    """A request is answered with an error; ``detail`` follows the sentence of its kind."""

    def __init__(self, problem: Problem, detail: str = "") -> None:
        """Keep what is answered."""
        super().__init__(problem.message + detail)
        self.problem = problem
        self.message = problem.message + detail


def _wrong_type(what: str, wanted: str, form: str) -> str:
    return f"{what} must {form} a 'Content-Type' header of '{wanted}'."


UNKNOWN_FAULT: Final = Problem(
    10, 500, "Unknown Validator Error", "This node failed to process the request; its log says why."
)
NOT_READY: Final = Problem(
    15, 503, "Validator Not Ready", "There is no genesis block here yet. Try your request again later."
)
TIMED_OUT: Final = Problem(
    17, 503, "Validator Timed Out", "The request took too long. It may or may not have been processed."
)
BATCHES_INVALID: Final = Problem(
    30,
    400,
    "Submitted Batches Invalid",
    "The submitted BatchList was rejected by the validator. "
    "It was poorly formed, or has an invalid signature.",
)
QUEUE_FULL: Final = Problem(
    31, 429, "Unable to Accept Batches", "Too many batches wait already: send these again later."
)
NO_BATCHES: Final = Problem(
    34,
    400,
    "No Batches Submitted",
    "The protobuf BatchList you submitted was empty and contained no Batches. "
    "You must submit at least one Batch.",
)
UNDECODABLE: Final = Problem(
    35,
    400,
    "Protobuf Not Decodable",
    "The protobuf BatchList you submitted was malformed and could not be read.",
)
BATCHES_TYPE: Final = Problem(
    42,
    400,
    "Wrong Content Type",
    _wrong_type("Batches", "application/octet-stream", "be submitted in a BatchList protobuf binary, with"),
)
STATUSES_TYPE: Final = Problem(
    43,
    400,
    "Wrong Content Type",
    _wrong_type("Requests for batch statuses sent as a POST", "application/json", "have"),
)
STATUSES_BODY: Final = Problem(
    46,
    400,
    "Bad Status Request",
    "Requests for batch statuses sent as a POST must have a JSON formatted body with an array of "
    "at least one id string.",
)
NO_HEAD: Final = Problem(
    50, 404, "Head Not Found", "There is no block with the id specified in the 'head' query parameter."
)
BAD_LIMIT: Final = Problem(
    53, 400, "Invalid Count Query", "The 'count' query parameter must be a positive, non-zero integer."
)
BAD_PAGING: Final = Problem(
    54,
    400,
    "Invalid Paging Query",
    "Paging request failed as written. One or more of the 'min', 'max', or 'count' query parameters "
    "were invalid or out of range.",
)
BAD_SORT: Final = Problem(
    57,
    400,
    "Invalid Sort Query",
    "The sort request failed as written. Some of the keys specified were not valid.",
)
BAD_ID: Final = Problem(
    60,
    400,
    "Invalid Resource Id",
    "Blockchain items are identified by 128 character hex-strings. A submitted block, batch, or "
    "transaction id was invalid: ",
)
BAD_ADDRESS: Final = Problem(
    62,
    400,
    "Invalid State Address",
    "The state address submitted was invalid. To fetch specific state data, you must submit the full "
    "70-character address.",
)
BAD_PREFIX: Final = Problem(
    62,
    400,
    "Invalid State Address",
    "The state address submitted was invalid. A prefix of addresses has an even number of lower-case hex "
    "digits, 70 at most.",
)
STATUSES_ID: Final = Problem(
    66,
    400,
    "Id Query Invalid or Missing",
    "Requests for batch statuses sent as a GET request must have an 'id' query parameter with a "
    "comma-separated list of at least one batch id.",
)
NO_BLOCK: Final = Problem(
    70, 404, "Block Not Found", "There is no block with the id specified in the blockchain."
)
STATE_GONE: Final = Problem(
    70, 404, "Block Not Found", "State as of this block is no longer kept by this node; newer blocks have it."
)
NO_BATCH: Final = Problem(
    71, 404, "Batch Not Found", "There is no batch with the id specified in the blockchain."
)
NO_TRANSACTION: Final = Problem(
    72, 404, "Transaction Not Found", "There is no transaction with the id specified in the blockchain."
)
NO_STATE: Final = Problem(75, 404, "State Not Found", "There is no state data at the address specified.")
NO_RECEIPT: Final = Problem(
    80,
    404,
    "Transaction Receipt Not Found",
    "There is no transaction receipt for the transaction id specified in the receipt store.",
)
RECEIPTS_TYPE: Final = Problem(
    81,
    400,
    "Wrong Content Type",
    _wrong_type("Requests for transaction receipts sent as a POST", "application/json", "have"),
)
RECEIPTS_BODY: Final = Problem(
    82,
    400,
    "Bad Receipts Request",
    "Requests for transaction receipts sent as a POST must have a JSON formatted body with an array of "
    "at least one id string.",
)
RECEIPTS_ID: Final = Problem(
    83,
    400,
    "Id Query Invalid or Missing",
    "Requests for transaction receipts sent as a GET request must have an 'id' query parameter with a "
    "comma-separated list of at least one transaction id.",
)
