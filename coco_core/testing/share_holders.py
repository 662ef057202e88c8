"""Recovery members on paper: their encryption keys, and what they do with their shares at home."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from coco_core.governance import (
    deal_shares,
    escrow_epoch,
    open_share,
    partial_for_epoch,
    read_epochs,
    read_recovery,
    with_secrets,
)
from coco_core.kv import Store, View


@attrs.frozen
class ShareHolders:
    """Members by ID, with their RSA encryption keys as PEM."""

    private: Mapping[str, str]
    public: Mapping[str, str]

    @classmethod
    def of(cls, *names: str) -> ShareHolders:
        """Make a key for each of ``names``."""
        keys = {name: rsa.generate_private_key(65537, 2048) for name in names}
        return cls(
            private={
                name: key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
                for name, key in keys.items()
            },
            public={
                name: key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
                for name, key in keys.items()
            },
        )

    def tables(self, threshold: int, secrets: Sequence[tuple[int, bytes]]) -> View:
        """Return tables with an epoch for each of ``secrets``; shares are dealt before the last begins."""
        view = Store().head()
        *before, (last_seqno, last_secret) = secrets
        for seqno, secret in before:
            view = view.over(
                escrow_epoch(view, first_seqno=seqno, secret=secret, created_ms=1_000 * seqno, reason="test")
            )
        view = view.over(deal_shares(self.public, threshold, with_secrets(read_epochs(view), secrets)))
        return view.over(
            escrow_epoch(
                view, first_seqno=last_seqno, secret=last_secret, created_ms=1_000 * last_seqno, reason="test"
            )
        )

    def shares(self, view: View) -> dict[str, bytes]:
        """Return every member's share, opened with the member's own key."""
        key = read_recovery(view)
        assert key is not None
        return {
            name: open_share(record.encrypted_share, self.private[name])
            for name, record in key.members.items()
        }

    def partials(self, view: View, number: int) -> dict[str, bytes]:
        """Return every member's partial decryption of one epoch."""
        return {
            name: partial_for_epoch(view, number, name, share) for name, share in self.shares(view).items()
        }
