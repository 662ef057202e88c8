"""Map names: which domain a map belongs to, and the names of the built-in maps.

A map whose name starts with ``public:`` is in the clear in the ledger; every other map is sealed
under the epoch's ledger secret. Built-in maps carry CCF's names and encodings (its
``doc/audit/builtin_maps``), so that independent tools read our ledger.
"""

from __future__ import annotations

import re
from typing import Final

PUBLIC_PREFIX: Final = "public:"
GOVERNANCE_PREFIX: Final = "public:ccf.gov."
INTERNAL_PREFIX: Final = "public:ccf.internal."

SERVICE_INFO: Final = "public:ccf.gov.service.info"
"""Singleton; JSON ``{cert: PEM, status}``."""
PREVIOUS_IDENTITIES: Final = "public:coco.gov.previous_identities"
"""Key: seqno (u64 big-endian) of the last entry signed under an identity the service had; its endorsement by
the identity that took over then, as PEM."""
NODES_INFO: Final = "public:ccf.gov.nodes.info"
"""Key: node ID (64 hex digits); JSON ``{status, quote_info, code_digest, …}``."""
NODES_ENDORSED_CERTIFICATES: Final = "public:ccf.gov.nodes.endorsed_certificates"
"""Key: node ID; the node's certificate as PEM, issued by the service identity."""
ADAPTERS: Final = "public:coco.gov.adapters"
"""Key: adapter name; JSON ``{version, api, engine, measurement}`` of what this network enabled."""
MEMBERSHIP_CHANGE: Final = "public:coco.gov.membership_change"
"""Singleton; JSON ``{add: [node ID], remove: [node ID], requested_by, replaces: [[new, old]]}``: the change
of members under way, and who of those added comes in whose place by a vote."""
OPERATORS: Final = "public:coco.gov.operators"
"""Key: SHA-256 of an operator's certificate (DER) in hex; the certificate as PEM."""
CODE_MEASUREMENTS: Final = "public:coco.gov.code_measurements"
"""Key: ``<platform>:<measurement>``, lower-case hex; JSON ``{}``: code that nodes may run."""
PLATFORMS: Final = "public:coco.gov.platforms"
"""Key: format of its evidence; JSON ``{minimum_tcb: text or null, allowed_advisories: [text]}``: what nodes
may run on; ``rules`` too, JSON in text, of what only this kind of platform has to be asked for."""
PRODUCTION: Final = "public:coco.gov.production"
"""Singleton; JSON ``true`` where no platform is accepted that protects nothing. Set when the service is
founded, and by nothing after; absent elsewhere."""
ADMISSIONS: Final = "public:coco.gov.admissions"
"""Key: node ID; JSON ``{evidence, transcript, judged_at, policy, verdict}``: how it came to be admitted, for
whoever wants to reach the verdict again; ``voucher`` too, of the node whose place it took by that."""
RECOVERY: Final = "public:coco.gov.recovery"
"""Singleton; JSON ``{public_key, threshold, members}``: the key that members hold shares of, and by member ID
``{index, verification_key, encrypted_share}``."""
EPOCHS: Final = "public:coco.gov.epochs"
"""Key: the epoch's number, u64 big-endian; JSON ``{first_seqno, commitment, created_ms, reason, escrow}``."""
MEMBERS_CERTS: Final = "public:ccf.gov.members.certs"
"""Key: member ID (SHA-256 of its certificate's DER form in hex); the certificate as PEM."""
MEMBERS_ENCRYPTION_KEYS: Final = "public:ccf.gov.members.encryption_public_keys"
"""Key: member ID; the RSA key to which its recovery share is encrypted, as PEM."""
MEMBERS_INFO: Final = "public:ccf.gov.members.info"
"""Key: member ID; JSON ``{status: Accepted or Active, member_data, recovery_role}``."""
MEMBERS_ACKS: Final = "public:ccf.gov.members.acks"
"""Key: member ID; JSON ``{state_digest, signed_req}``: the state it was asked to look at, or acknowledged."""
USERS_CERTS: Final = "public:ccf.gov.users.certs"
"""Key: participant's ID (SHA-256 of its certificate's DER form in hex); the certificate as PEM."""
USERS_INFO: Final = "public:ccf.gov.users.info"
"""Key: participant's ID; JSON ``{user_data}``."""
SERVICE_CONFIG: Final = "public:ccf.gov.service.config"
"""Singleton; JSON ``{recovery_threshold, …}``."""
CONSTITUTION: Final = "public:ccf.gov.constitution"
"""Singleton; the constitution as a JSON string."""
PROPOSALS: Final = "public:ccf.gov.proposals"
"""Key: proposal ID; the proposal as its member sent it, JSON ``{actions: [{name, args}]}``."""
PROPOSALS_INFO: Final = "public:ccf.gov.proposals_info"
"""Key: proposal ID; JSON ``{proposer_id, state, ballots, created_at_ms, decided_at_ms, …}``: open
proposals and the newest that ended."""
COSE_HISTORY: Final = "public:ccf.gov.cose_history"
"""Key: member ID; its newest signed request, JSON string of base64."""
COSE_RECENT_PROPOSALS: Final = "public:ccf.gov.cose_recent_proposals"
"""Key: ``created_at:digest`` of a proposal's request; its proposal ID."""
DISMISSED_NODES: Final = "public:coco.gov.dismissed_nodes"
"""Key: node ID; JSON ``{}``: its addition was taken back after it was welcomed, so it may not ask again."""
NODE_OWNERS: Final = "public:coco.gov.node_owners"
"""Key: node ID; JSON ``{member_id, node_data}``: whose node it is."""
ADAPTER_CONFIGURATION: Final = "public:coco.gov.adapter_configuration"
"""Key: adapter name; JSON: what the consortium set of its ledger, by field of its manifest."""
FETCH_ORIGINS: Final = "public:coco.gov.fetch_origins"
"""Key: adapter name; JSON ``{origins: [text], ca_certs: PEM or null}``: from where its ledger may fetch, and
who issues those servers' certificates."""
DISABLED_ADAPTERS: Final = "public:coco.gov.disabled_adapters"
"""Key: adapter name; JSON ``{}``: its ledger takes no transactions at the moment."""
ACCESS: Final = "public:coco.gov.access"
"""Key: adapter name; JSON ``{callers: anyone or participants}``: who may use its front ends."""
LEASES: Final = "public:coco.gov.leases"
"""Key: node ID; JSON ``{granted_ms, until_ms, renewal_refused}``: how long the node may take part, and true
when no voucher renews that. It stays when it ran out and the node is retired for that."""
CONFIDENTIALITY: Final = "public:coco.gov.confidentiality"
"""Singleton; JSON: the confidentiality policy."""
JWT_ISSUERS: Final = "public:ccf.gov.jwt.issuers"
"""Key: issuer; JSON ``{auto_refresh: false}``."""
JWT_KEYS: Final = "public:ccf.gov.jwt.public_signing_keys_metadata_v2"
"""Key: key ID; JSON ``[{public_key, issuer, constraint}]``: who signs tokens; keys are DER in base64."""
BUNDLE: Final = "public:coco.bundle"
"""Singleton; JSON ``{transactions: [{ledger, seqno, claims}]}``: the entries before it that were committed
together, each with its claims digest in hex."""
FETCHED: Final = "coco.fetched"
"""Key: adapter name; canonical CBOR ``{time_ms, fetched: [{url, status, body, failure}]}``: what systems
outside answered while the entries before it were executed. Sealed: it is the ledger's business."""
KEY_POLICY: Final = "public:coco.gov.key_policy"
"""Singleton; JSON ``{epoch_ms}``: how long an epoch of ledger secrets lasts, 0 for ever."""
LEASE_POLICY: Final = "public:coco.gov.lease_policy"
"""Singleton; JSON ``{lease_s, renewal}``: how long a node takes part before it must be replaced, null for
ever; ``vote``, or ``vouched`` when who it vouches for may replace it without one."""
SIGNATURES: Final = "public:ccf.internal.signatures"
"""Singleton; JSON ``{node, seqno, view, root, sig, …}``: the primary's signature over the tree."""
COSE_SIGNATURES: Final = "public:ccf.internal.cose_signatures"
"""Singleton; JSON string, base64 of a COSE_Sign1 by the service identity over the tree."""
TREE: Final = "public:ccf.internal.tree"
"""Singleton; the Merkle tree's frontier."""
LEDGER_SECRETS: Final = "public:coco.internal.ledger_secrets"
"""Key: an epoch's number as in ``public:coco.gov.epochs``; JSON ``{node ID: base64}``: the epoch's secret,
sealed (HPKE) to every node that takes part when it begins."""
REKEY_WANTED: Final = "public:coco.internal.rekey_wanted"
"""Singleton; JSON ``{reason}``: a new epoch is to begin as soon as nobody leaves any more."""
SNAPSHOT_EVIDENCE: Final = "public:ccf.internal.snapshot_evidence"
"""Singleton; JSON ``{hash, version}``: SHA-256 of the snapshot at that seqno, in hex."""

GOVERNANCE: Final = frozenset(
    {
        ACCESS,
        ADAPTERS,
        ADAPTER_CONFIGURATION,
        ADMISSIONS,
        CODE_MEASUREMENTS,
        CONFIDENTIALITY,
        CONSTITUTION,
        COSE_HISTORY,
        COSE_RECENT_PROPOSALS,
        DISABLED_ADAPTERS,
        DISMISSED_NODES,
        EPOCHS,
        FETCH_ORIGINS,
        JWT_ISSUERS,
        JWT_KEYS,
        KEY_POLICY,
        LEASES,
        LEASE_POLICY,
        LEDGER_SECRETS,
        MEMBERSHIP_CHANGE,
        MEMBERS_ACKS,
        MEMBERS_CERTS,
        MEMBERS_ENCRYPTION_KEYS,
        MEMBERS_INFO,
        NODES_ENDORSED_CERTIFICATES,
        NODES_INFO,
        NODE_OWNERS,
        OPERATORS,
        PLATFORMS,
        PREVIOUS_IDENTITIES,
        PRODUCTION,
        PROPOSALS,
        PROPOSALS_INFO,
        RECOVERY,
        REKEY_WANTED,
        SERVICE_CONFIG,
        SERVICE_INFO,
        USERS_CERTS,
        USERS_INFO,
    }
)
"""Every map that says who governs, who takes part and by which rules."""

SINGLETON_KEY: Final = bytes(8)
"""The key of a map that holds one value."""

_LEDGER_NAME: Final = re.compile("[a-z][a-z0-9_]{0,31}")


def is_public(name: str) -> bool:
    """Tell whether the map's contents are in the clear in the ledger."""
    return name.startswith(PUBLIC_PREFIX)


def is_ledger_name(name: str) -> bool:
    """Tell whether a ledger may have this name: the maps it owns begin with it."""
    return _LEDGER_NAME.fullmatch(name) is not None


def is_reserved(name: str) -> bool:
    """Tell whether the map belongs to the core; an adapter may neither own nor write it."""
    return name.startswith((GOVERNANCE_PREFIX, INTERNAL_PREFIX, "public:coco.", "coco."))
