"""Every error the core raises, drawn by whose fault it is.

Whoever catches one of these knows from its class alone who has to act::

    CocoError
    ├── CallerError                a client of this node asked for something it cannot have
    │   ├── MalformedError         the request does not parse, or breaks a stated bound
    │   ├── RejectedError          the ledger's own rules refuse the transaction; nothing was written
    │   └── BusyError              a bounded queue is full: back off and send it again
    ├── PeerError                  another node sent bytes that break the protocol: drop the channel
    ├── OperatorError              a setting, file, port or plugin the operator gave cannot be used
    ├── MemberError                a member's proposal, ballot, share or constitution is not acceptable
    │   └── ScriptError            its Starlark text cannot be evaluated, or not within the bounds
    ├── IntegrityError             stored or replicated data contradicts its own proof: stop the node
    ├── AttestationError           evidence or an identity is missing, malformed or not acceptable
    ├── FetchError                 a system outside may not be asked, or did not answer as it must
    └── AdapterError               a ledger adapter broke its contract

Verification raises one of these; it never returns a bool. This room imports nothing.
"""


class CocoError(Exception):
    """Base of all errors of the framework; never raised itself."""


class CallerError(CocoError):
    """A client of this node asked for something it cannot have."""


class MalformedError(CallerError):
    """The request does not parse, or exceeds a stated bound."""


class RejectedError(CallerError):
    """The ledger's own rules refuse the transaction; nothing was written."""


class BusyError(CallerError):
    """A bounded queue is full: the caller should back off and send the request again."""


class PeerError(CocoError):
    """Another node sent bytes that break the protocol: the channel to it is dropped."""


class OperatorError(CocoError):
    """A setting, file, port or plugin the operator gave cannot be used; the message says which."""


class MemberError(CocoError):
    """A member's proposal, ballot, share or constitution is not acceptable."""


class ScriptError(MemberError):
    """A member's Starlark text cannot be evaluated, or not within the bounds; ``code`` says which.

    One of ``syntax``, ``missing-function``, ``script-error`` (it failed, or was called wrongly),
    ``step-limit``, ``memory-limit``, ``time-limit`` and ``result`` (not JSON, or too much of it).
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class IntegrityError(CocoError):
    """Stored or replicated data contradicts its own proof: the node stops rather than continue."""


class AttestationError(CocoError):
    """Evidence or an identity is missing, malformed or not acceptable under the policy.

    ``code`` names the rule that failed, for whoever is refused and for operators: it stays the same while
    messages may change. ``refused`` stands for every rule that has no name of its own.
    """

    def __init__(self, message: str, *, code: str = "refused") -> None:
        super().__init__(message)
        self.code = code


class FetchError(CocoError):
    """A system outside may not be asked, or did not answer as it must; ``code`` says which.

    One of ``malformed-url``, ``not-allowed`` (its origin is not on the consortium's list), ``exhausted``
    (this batch may fetch no more), ``over`` (the batch has ended), ``unreachable``, ``tls``, ``timeout``,
    ``too-large`` and ``protocol`` (what came is not an HTTP answer of stated length).
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class AdapterError(CocoError):
    """A ledger adapter broke its contract (wrote outside its maps, wrong number of outcomes, …)."""
