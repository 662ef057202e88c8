"""Noughts and crosses as a processor on the unmodified Python SDK: ``xo.py URL [raw]``.

A payload is the text ``name,action,space``, the action create, take or delete and the space 1 to 9.
State keeps ``name,board,state,player 1,player 2`` under ``5b7349`` and the first 64 hex digits of the
name's SHA-512. With ``raw`` it asks for transaction headers as the client signed them.
"""

from __future__ import annotations

import hashlib
import sys
from typing import Any

from sawtooth_sdk.processor.core import TransactionProcessor
from sawtooth_sdk.processor.exceptions import InvalidTransaction
from sawtooth_sdk.processor.handler import TransactionHandler
from sawtooth_sdk.protobuf.processor_pb2 import TpRegisterRequest
from sawtooth_sdk.protobuf.transaction_pb2 import TransactionHeader

LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))
STATE_TIMEOUT_S = 3


def address(name: str) -> str:
    """Return where the game called ``name`` is kept."""
    return "5b7349" + hashlib.sha512(name.encode()).hexdigest()[:64]


def after(board: str, mark: str) -> str:
    """Return the state of a game in which ``mark`` made this ``board``."""
    if any(all(board[space] == mark for space in line) for line in LINES):
        return "P1-WIN" if mark == "X" else "P2-WIN"
    if "-" not in board:
        return "TIE"
    return "P2-NEXT" if mark == "X" else "P1-NEXT"


class NoughtsAndCrosses(TransactionHandler):
    """Keeps games; a player is whoever signs the first, or the second, take."""

    family_name = "xo"
    family_versions = ["1.0"]  # noqa: RUF012 - the SDK asks for a list
    namespaces = ["5b7349"]  # noqa: RUF012

    def apply(self, transaction: Any, context: Any) -> None:
        """Execute one transaction; raises InvalidTransaction with the reason it is refused."""
        header = transaction.header
        if transaction.header_bytes:
            header = TransactionHeader()
            header.ParseFromString(transaction.header_bytes)
        try:
            name, action, space = transaction.payload.decode().split(",")
        except ValueError as error:
            raise InvalidTransaction("Invalid payload serialization") from error
        entries = context.get_state([address(name)], timeout=STATE_TIMEOUT_S)
        game = entries[0].data.decode().split(",") if entries else None
        if (action == "create") == (game is not None):
            raise InvalidTransaction(f"Invalid action: game {'exists already' if game else 'does not exist'}")
        if action == "create":
            self._keep(context, [name, "-" * 9, "P1-NEXT", "", ""])
        elif action == "delete":
            context.delete_state([address(name)], timeout=STATE_TIMEOUT_S)
        elif action == "take" and game is not None and space in set("123456789"):
            self._keep(context, self._taken(game, int(space), header.signer_public_key))
        else:
            raise InvalidTransaction(f"Unhandled action: {action} {space}")

    @staticmethod
    def _taken(game: list[str], space: int, signer: str) -> list[str]:
        name, board, state, *players = game
        if state not in {"P1-NEXT", "P2-NEXT"}:
            raise InvalidTransaction("Invalid action: game has ended")
        player = int(state == "P2-NEXT")
        if players[player] not in {"", signer}:
            raise InvalidTransaction(f"Not this player's turn: {signer[:6]}")
        if board[space - 1] != "-":
            raise InvalidTransaction(f"Invalid action: space {space} already taken")
        mark = "XO"[player]
        # Whoever takes first is player 1, and the next who is not yet anybody is player 2.
        players[player] = signer
        board = board[: space - 1] + mark + board[space:]
        return [name, board, after(board, mark), *players]

    @staticmethod
    def _keep(context: Any, game: list[str]) -> None:
        context.set_state({address(game[0]): ",".join(game).encode()}, timeout=STATE_TIMEOUT_S)


def main() -> None:
    """Serve a validator until interrupted."""
    processor = TransactionProcessor(url=sys.argv[1])
    processor.add_handler(NoughtsAndCrosses())
    if "raw" in sys.argv[2:]:
        processor.set_header_style(TpRegisterRequest.RAW)
    try:
        processor.start()
    finally:
        processor.stop()


if __name__ == "__main__":
    main()
