# Written by tools/generate_sawtooth_messages.py from schema.py.

from collections.abc import Iterable
from typing import Final

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer, RepeatedScalarFieldContainer
from google.protobuf.message import Message as _Message

class Batch(_Message):
    header: bytes
    header_signature: str
    transactions: RepeatedCompositeFieldContainer[Transaction]
    trace: bool
    def __init__(
        self,
        *,
        header: bytes = ...,
        header_signature: str = ...,
        transactions: Iterable[Transaction] = ...,
        trace: bool = ...,
    ) -> None: ...

class BatchHeader(_Message):
    signer_public_key: str
    transaction_ids: RepeatedScalarFieldContainer[str]
    def __init__(self, *, signer_public_key: str = ..., transaction_ids: Iterable[str] = ...) -> None: ...

class BatchList(_Message):
    batches: RepeatedCompositeFieldContainer[Batch]
    def __init__(self, *, batches: Iterable[Batch] = ...) -> None: ...

class Block(_Message):
    header: bytes
    header_signature: str
    batches: RepeatedCompositeFieldContainer[Batch]
    def __init__(
        self, *, header: bytes = ..., header_signature: str = ..., batches: Iterable[Batch] = ...
    ) -> None: ...

class BlockHeader(_Message):
    block_num: int
    previous_block_id: str
    signer_public_key: str
    batch_ids: RepeatedScalarFieldContainer[str]
    consensus: bytes
    state_root_hash: str
    def __init__(
        self,
        *,
        block_num: int = ...,
        previous_block_id: str = ...,
        signer_public_key: str = ...,
        batch_ids: Iterable[str] = ...,
        consensus: bytes = ...,
        state_root_hash: str = ...,
    ) -> None: ...

class BlockInfo(_Message):
    block_num: int
    previous_block_id: str
    signer_public_key: str
    header_signature: str
    timestamp: int
    def __init__(
        self,
        *,
        block_num: int = ...,
        previous_block_id: str = ...,
        signer_public_key: str = ...,
        header_signature: str = ...,
        timestamp: int = ...,
    ) -> None: ...

class BlockInfoConfig(_Message):
    latest_block: int
    oldest_block: int
    target_count: int
    sync_tolerance: int
    def __init__(
        self,
        *,
        latest_block: int = ...,
        oldest_block: int = ...,
        target_count: int = ...,
        sync_tolerance: int = ...,
    ) -> None: ...

class BlockInfoTxn(_Message):
    block: BlockInfo
    target_count: int
    sync_tolerance: int
    def __init__(
        self, *, block: BlockInfo | None = ..., target_count: int = ..., sync_tolerance: int = ...
    ) -> None: ...

class ClientBatchGetRequest(_Message):
    batch_id: str
    def __init__(self, *, batch_id: str = ...) -> None: ...

class ClientBatchGetResponse(_Message):
    STATUS_UNSET: Final[int]
    OK: Final[int]
    INTERNAL_ERROR: Final[int]
    NO_RESOURCE: Final[int]
    INVALID_ID: Final[int]
    status: int
    batch: Batch
    def __init__(self, *, status: int = ..., batch: Batch | None = ...) -> None: ...

class ClientBatchListRequest(_Message):
    head_id: str
    batch_ids: RepeatedScalarFieldContainer[str]
    paging: ClientPagingControls
    sorting: RepeatedCompositeFieldContainer[ClientSortControls]
    def __init__(
        self,
        *,
        head_id: str = ...,
        batch_ids: Iterable[str] = ...,
        paging: ClientPagingControls | None = ...,
        sorting: Iterable[ClientSortControls] = ...,
    ) -> None: ...

class ClientBatchListResponse(_Message):
    STATUS_UNSET: Final[int]
    OK: Final[int]
    INTERNAL_ERROR: Final[int]
    NOT_READY: Final[int]
    NO_ROOT: Final[int]
    NO_RESOURCE: Final[int]
    INVALID_PAGING: Final[int]
    INVALID_SORT: Final[int]
    INVALID_ID: Final[int]
    status: int
    batches: RepeatedCompositeFieldContainer[Batch]
    head_id: str
    paging: ClientPagingResponse
    def __init__(
        self,
        *,
        status: int = ...,
        batches: Iterable[Batch] = ...,
        head_id: str = ...,
        paging: ClientPagingResponse | None = ...,
    ) -> None: ...

class ClientBatchStatus(_Message):
    class InvalidTransaction(_Message):
        transaction_id: str
        message: str
        extended_data: bytes
        def __init__(
            self, *, transaction_id: str = ..., message: str = ..., extended_data: bytes = ...
        ) -> None: ...
    STATUS_UNSET: Final[int]
    COMMITTED: Final[int]
    INVALID: Final[int]
    PENDING: Final[int]
    UNKNOWN: Final[int]
    batch_id: str
    status: int
    invalid_transactions: RepeatedCompositeFieldContainer[ClientBatchStatus.InvalidTransaction]
    def __init__(
        self,
        *,
        batch_id: str = ...,
        status: int = ...,
        invalid_transactions: Iterable[ClientBatchStatus.InvalidTransaction] = ...,
    ) -> None: ...

class ClientBatchStatusRequest(_Message):
    batch_ids: RepeatedScalarFieldContainer[str]
    wait: bool
    timeout: int
    def __init__(self, *, batch_ids: Iterable[str] = ..., wait: bool = ..., timeout: int = ...) -> None: ...

class ClientBatchStatusResponse(_Message):
    STATUS_UNSET: Final[int]
    OK: Final[int]
    INTERNAL_ERROR: Final[int]
    NO_RESOURCE: Final[int]
    INVALID_ID: Final[int]
    status: int
    batch_statuses: RepeatedCompositeFieldContainer[ClientBatchStatus]
    def __init__(self, *, status: int = ..., batch_statuses: Iterable[ClientBatchStatus] = ...) -> None: ...

class ClientBatchSubmitRequest(_Message):
    batches: RepeatedCompositeFieldContainer[Batch]
    def __init__(self, *, batches: Iterable[Batch] = ...) -> None: ...

class ClientBatchSubmitResponse(_Message):
    STATUS_UNSET: Final[int]
    OK: Final[int]
    INTERNAL_ERROR: Final[int]
    INVALID_BATCH: Final[int]
    QUEUE_FULL: Final[int]
    status: int
    def __init__(self, *, status: int = ...) -> None: ...

class ClientBlockGetByBatchIdRequest(_Message):
    batch_id: str
    def __init__(self, *, batch_id: str = ...) -> None: ...

class ClientBlockGetByIdRequest(_Message):
    block_id: str
    def __init__(self, *, block_id: str = ...) -> None: ...

class ClientBlockGetByNumRequest(_Message):
    block_num: int
    def __init__(self, *, block_num: int = ...) -> None: ...

class ClientBlockGetByTransactionIdRequest(_Message):
    transaction_id: str
    def __init__(self, *, transaction_id: str = ...) -> None: ...

class ClientBlockGetResponse(_Message):
    STATUS_UNSET: Final[int]
    OK: Final[int]
    INTERNAL_ERROR: Final[int]
    NO_RESOURCE: Final[int]
    INVALID_ID: Final[int]
    status: int
    block: Block
    def __init__(self, *, status: int = ..., block: Block | None = ...) -> None: ...

class ClientBlockListRequest(_Message):
    head_id: str
    block_ids: RepeatedScalarFieldContainer[str]
    paging: ClientPagingControls
    sorting: RepeatedCompositeFieldContainer[ClientSortControls]
    def __init__(
        self,
        *,
        head_id: str = ...,
        block_ids: Iterable[str] = ...,
        paging: ClientPagingControls | None = ...,
        sorting: Iterable[ClientSortControls] = ...,
    ) -> None: ...

class ClientBlockListResponse(_Message):
    STATUS_UNSET: Final[int]
    OK: Final[int]
    INTERNAL_ERROR: Final[int]
    NOT_READY: Final[int]
    NO_ROOT: Final[int]
    NO_RESOURCE: Final[int]
    INVALID_PAGING: Final[int]
    INVALID_SORT: Final[int]
    INVALID_ID: Final[int]
    status: int
    blocks: RepeatedCompositeFieldContainer[Block]
    head_id: str
    paging: ClientPagingResponse
    def __init__(
        self,
        *,
        status: int = ...,
        blocks: Iterable[Block] = ...,
        head_id: str = ...,
        paging: ClientPagingResponse | None = ...,
    ) -> None: ...

class ClientEventsGetRequest(_Message):
    subscriptions: RepeatedCompositeFieldContainer[EventSubscription]
    block_ids: RepeatedScalarFieldContainer[str]
    def __init__(
        self, *, subscriptions: Iterable[EventSubscription] = ..., block_ids: Iterable[str] = ...
    ) -> None: ...

class ClientEventsGetResponse(_Message):
    STATUS_UNSET: Final[int]
    OK: Final[int]
    INTERNAL_ERROR: Final[int]
    INVALID_FILTER: Final[int]
    UNKNOWN_BLOCK: Final[int]
    status: int
    events: RepeatedCompositeFieldContainer[Event]
    def __init__(self, *, status: int = ..., events: Iterable[Event] = ...) -> None: ...

class ClientEventsSubscribeRequest(_Message):
    subscriptions: RepeatedCompositeFieldContainer[EventSubscription]
    last_known_block_ids: RepeatedScalarFieldContainer[str]
    def __init__(
        self, *, subscriptions: Iterable[EventSubscription] = ..., last_known_block_ids: Iterable[str] = ...
    ) -> None: ...

class ClientEventsSubscribeResponse(_Message):
    STATUS_UNSET: Final[int]
    OK: Final[int]
    INVALID_FILTER: Final[int]
    UNKNOWN_BLOCK: Final[int]
    status: int
    response_message: str
    def __init__(self, *, status: int = ..., response_message: str = ...) -> None: ...

class ClientEventsUnsubscribeRequest(_Message): ...

class ClientEventsUnsubscribeResponse(_Message):
    STATUS_UNSET: Final[int]
    OK: Final[int]
    INTERNAL_ERROR: Final[int]
    status: int
    def __init__(self, *, status: int = ...) -> None: ...

class ClientPagingControls(_Message):
    start: str
    limit: int
    def __init__(self, *, start: str = ..., limit: int = ...) -> None: ...

class ClientPagingResponse(_Message):
    next: str
    start: str
    limit: int
    def __init__(self, *, next: str = ..., start: str = ..., limit: int = ...) -> None: ...

class ClientPeersGetRequest(_Message): ...

class ClientPeersGetResponse(_Message):
    STATUS_UNSET: Final[int]
    OK: Final[int]
    ERROR: Final[int]
    status: int
    peers: RepeatedScalarFieldContainer[str]
    def __init__(self, *, status: int = ..., peers: Iterable[str] = ...) -> None: ...

class ClientReceiptGetRequest(_Message):
    transaction_ids: RepeatedScalarFieldContainer[str]
    def __init__(self, *, transaction_ids: Iterable[str] = ...) -> None: ...

class ClientReceiptGetResponse(_Message):
    STATUS_UNSET: Final[int]
    OK: Final[int]
    INTERNAL_ERROR: Final[int]
    NO_RESOURCE: Final[int]
    INVALID_ID: Final[int]
    status: int
    receipts: RepeatedCompositeFieldContainer[TransactionReceipt]
    def __init__(self, *, status: int = ..., receipts: Iterable[TransactionReceipt] = ...) -> None: ...

class ClientSortControls(_Message):
    keys: RepeatedScalarFieldContainer[str]
    reverse: bool
    def __init__(self, *, keys: Iterable[str] = ..., reverse: bool = ...) -> None: ...

class ClientStateGetRequest(_Message):
    state_root: str
    address: str
    def __init__(self, *, state_root: str = ..., address: str = ...) -> None: ...

class ClientStateGetResponse(_Message):
    STATUS_UNSET: Final[int]
    OK: Final[int]
    INTERNAL_ERROR: Final[int]
    NOT_READY: Final[int]
    NO_ROOT: Final[int]
    NO_RESOURCE: Final[int]
    INVALID_ADDRESS: Final[int]
    INVALID_ROOT: Final[int]
    status: int
    value: bytes
    state_root: str
    def __init__(self, *, status: int = ..., value: bytes = ..., state_root: str = ...) -> None: ...

class ClientStateListRequest(_Message):
    state_root: str
    address: str
    paging: ClientPagingControls
    sorting: RepeatedCompositeFieldContainer[ClientSortControls]
    def __init__(
        self,
        *,
        state_root: str = ...,
        address: str = ...,
        paging: ClientPagingControls | None = ...,
        sorting: Iterable[ClientSortControls] = ...,
    ) -> None: ...

class ClientStateListResponse(_Message):
    class Entry(_Message):
        address: str
        data: bytes
        def __init__(self, *, address: str = ..., data: bytes = ...) -> None: ...
    STATUS_UNSET: Final[int]
    OK: Final[int]
    INTERNAL_ERROR: Final[int]
    NOT_READY: Final[int]
    NO_ROOT: Final[int]
    NO_RESOURCE: Final[int]
    INVALID_PAGING: Final[int]
    INVALID_SORT: Final[int]
    INVALID_ADDRESS: Final[int]
    INVALID_ROOT: Final[int]
    status: int
    entries: RepeatedCompositeFieldContainer[ClientStateListResponse.Entry]
    state_root: str
    paging: ClientPagingResponse
    def __init__(
        self,
        *,
        status: int = ...,
        entries: Iterable[ClientStateListResponse.Entry] = ...,
        state_root: str = ...,
        paging: ClientPagingResponse | None = ...,
    ) -> None: ...

class ClientStatusGetRequest(_Message): ...

class ClientStatusGetResponse(_Message):
    class Peer(_Message):
        endpoint: str
        def __init__(self, *, endpoint: str = ...) -> None: ...
    STATUS_UNSET: Final[int]
    OK: Final[int]
    ERROR: Final[int]
    status: int
    peers: RepeatedCompositeFieldContainer[ClientStatusGetResponse.Peer]
    endpoint: str
    def __init__(
        self, *, status: int = ..., peers: Iterable[ClientStatusGetResponse.Peer] = ..., endpoint: str = ...
    ) -> None: ...

class ClientTransactionGetRequest(_Message):
    transaction_id: str
    def __init__(self, *, transaction_id: str = ...) -> None: ...

class ClientTransactionGetResponse(_Message):
    STATUS_UNSET: Final[int]
    OK: Final[int]
    INTERNAL_ERROR: Final[int]
    NO_RESOURCE: Final[int]
    INVALID_ID: Final[int]
    status: int
    transaction: Transaction
    def __init__(self, *, status: int = ..., transaction: Transaction | None = ...) -> None: ...

class ClientTransactionListRequest(_Message):
    head_id: str
    transaction_ids: RepeatedScalarFieldContainer[str]
    paging: ClientPagingControls
    sorting: RepeatedCompositeFieldContainer[ClientSortControls]
    def __init__(
        self,
        *,
        head_id: str = ...,
        transaction_ids: Iterable[str] = ...,
        paging: ClientPagingControls | None = ...,
        sorting: Iterable[ClientSortControls] = ...,
    ) -> None: ...

class ClientTransactionListResponse(_Message):
    STATUS_UNSET: Final[int]
    OK: Final[int]
    INTERNAL_ERROR: Final[int]
    NOT_READY: Final[int]
    NO_ROOT: Final[int]
    NO_RESOURCE: Final[int]
    INVALID_PAGING: Final[int]
    INVALID_SORT: Final[int]
    INVALID_ID: Final[int]
    status: int
    transactions: RepeatedCompositeFieldContainer[Transaction]
    head_id: str
    paging: ClientPagingResponse
    def __init__(
        self,
        *,
        status: int = ...,
        transactions: Iterable[Transaction] = ...,
        head_id: str = ...,
        paging: ClientPagingResponse | None = ...,
    ) -> None: ...

class Event(_Message):
    class Attribute(_Message):
        key: str
        value: str
        def __init__(self, *, key: str = ..., value: str = ...) -> None: ...
    event_type: str
    attributes: RepeatedCompositeFieldContainer[Event.Attribute]
    data: bytes
    def __init__(
        self, *, event_type: str = ..., attributes: Iterable[Event.Attribute] = ..., data: bytes = ...
    ) -> None: ...

class EventFilter(_Message):
    FILTER_TYPE_UNSET: Final[int]
    SIMPLE_ANY: Final[int]
    SIMPLE_ALL: Final[int]
    REGEX_ANY: Final[int]
    REGEX_ALL: Final[int]
    key: str
    match_string: str
    filter_type: int
    def __init__(self, *, key: str = ..., match_string: str = ..., filter_type: int = ...) -> None: ...

class EventList(_Message):
    events: RepeatedCompositeFieldContainer[Event]
    def __init__(self, *, events: Iterable[Event] = ...) -> None: ...

class EventSubscription(_Message):
    event_type: str
    filters: RepeatedCompositeFieldContainer[EventFilter]
    def __init__(self, *, event_type: str = ..., filters: Iterable[EventFilter] = ...) -> None: ...

class GenesisData(_Message):
    batches: RepeatedCompositeFieldContainer[Batch]
    def __init__(self, *, batches: Iterable[Batch] = ...) -> None: ...

class IdentityPayload(_Message):
    UNSET: Final[int]
    POLICY: Final[int]
    ROLE: Final[int]
    type: int
    data: bytes
    def __init__(self, *, type: int = ..., data: bytes = ...) -> None: ...

class Message(_Message):
    message_type: int
    correlation_id: str
    content: bytes
    def __init__(
        self, *, message_type: int = ..., correlation_id: str = ..., content: bytes = ...
    ) -> None: ...

class PingRequest(_Message): ...

class PingResponse(_Message): ...

class Policy(_Message):
    class Entry(_Message):
        type: int
        key: str
        def __init__(self, *, type: int = ..., key: str = ...) -> None: ...
    ENTRY_TYPE_UNSET: Final[int]
    PERMIT_KEY: Final[int]
    DENY_KEY: Final[int]
    name: str
    entries: RepeatedCompositeFieldContainer[Policy.Entry]
    def __init__(self, *, name: str = ..., entries: Iterable[Policy.Entry] = ...) -> None: ...

class PolicyList(_Message):
    policies: RepeatedCompositeFieldContainer[Policy]
    def __init__(self, *, policies: Iterable[Policy] = ...) -> None: ...

class Role(_Message):
    name: str
    policy_name: str
    def __init__(self, *, name: str = ..., policy_name: str = ...) -> None: ...

class RoleList(_Message):
    roles: RepeatedCompositeFieldContainer[Role]
    def __init__(self, *, roles: Iterable[Role] = ...) -> None: ...

class Setting(_Message):
    class Entry(_Message):
        key: str
        value: str
        def __init__(self, *, key: str = ..., value: str = ...) -> None: ...
    entries: RepeatedCompositeFieldContainer[Setting.Entry]
    def __init__(self, *, entries: Iterable[Setting.Entry] = ...) -> None: ...

class SettingCandidate(_Message):
    class VoteRecord(_Message):
        public_key: str
        vote: int
        def __init__(self, *, public_key: str = ..., vote: int = ...) -> None: ...
    proposal_id: str
    proposal: SettingProposal
    votes: RepeatedCompositeFieldContainer[SettingCandidate.VoteRecord]
    def __init__(
        self,
        *,
        proposal_id: str = ...,
        proposal: SettingProposal | None = ...,
        votes: Iterable[SettingCandidate.VoteRecord] = ...,
    ) -> None: ...

class SettingCandidates(_Message):
    candidates: RepeatedCompositeFieldContainer[SettingCandidate]
    def __init__(self, *, candidates: Iterable[SettingCandidate] = ...) -> None: ...

class SettingProposal(_Message):
    setting: str
    value: str
    nonce: str
    def __init__(self, *, setting: str = ..., value: str = ..., nonce: str = ...) -> None: ...

class SettingVote(_Message):
    VOTE_UNSET: Final[int]
    ACCEPT: Final[int]
    REJECT: Final[int]
    proposal_id: str
    vote: int
    def __init__(self, *, proposal_id: str = ..., vote: int = ...) -> None: ...

class SettingsPayload(_Message):
    ACTION_UNSET: Final[int]
    PROPOSE: Final[int]
    VOTE: Final[int]
    action: int
    data: bytes
    def __init__(self, *, action: int = ..., data: bytes = ...) -> None: ...

class StateChange(_Message):
    TYPE_UNSET: Final[int]
    SET: Final[int]
    DELETE: Final[int]
    address: str
    value: bytes
    type: int
    def __init__(self, *, address: str = ..., value: bytes = ..., type: int = ...) -> None: ...

class StateChangeList(_Message):
    state_changes: RepeatedCompositeFieldContainer[StateChange]
    def __init__(self, *, state_changes: Iterable[StateChange] = ...) -> None: ...

class TpEventAddRequest(_Message):
    context_id: str
    event: Event
    def __init__(self, *, context_id: str = ..., event: Event | None = ...) -> None: ...

class TpEventAddResponse(_Message):
    STATUS_UNSET: Final[int]
    OK: Final[int]
    ERROR: Final[int]
    status: int
    def __init__(self, *, status: int = ...) -> None: ...

class TpProcessRequest(_Message):
    header: TransactionHeader
    payload: bytes
    signature: str
    context_id: str
    header_bytes: bytes
    def __init__(
        self,
        *,
        header: TransactionHeader | None = ...,
        payload: bytes = ...,
        signature: str = ...,
        context_id: str = ...,
        header_bytes: bytes = ...,
    ) -> None: ...

class TpProcessResponse(_Message):
    STATUS_UNSET: Final[int]
    OK: Final[int]
    INVALID_TRANSACTION: Final[int]
    INTERNAL_ERROR: Final[int]
    status: int
    message: str
    extended_data: bytes
    def __init__(self, *, status: int = ..., message: str = ..., extended_data: bytes = ...) -> None: ...

class TpReceiptAddDataRequest(_Message):
    context_id: str
    data: bytes
    def __init__(self, *, context_id: str = ..., data: bytes = ...) -> None: ...

class TpReceiptAddDataResponse(_Message):
    STATUS_UNSET: Final[int]
    OK: Final[int]
    ERROR: Final[int]
    status: int
    def __init__(self, *, status: int = ...) -> None: ...

class TpRegisterRequest(_Message):
    HEADER_STYLE_UNSET: Final[int]
    EXPANDED: Final[int]
    RAW: Final[int]
    family: str
    version: str
    namespaces: RepeatedScalarFieldContainer[str]
    max_occupancy: int
    protocol_version: int
    request_header_style: int
    def __init__(
        self,
        *,
        family: str = ...,
        version: str = ...,
        namespaces: Iterable[str] = ...,
        max_occupancy: int = ...,
        protocol_version: int = ...,
        request_header_style: int = ...,
    ) -> None: ...

class TpRegisterResponse(_Message):
    STATUS_UNSET: Final[int]
    OK: Final[int]
    ERROR: Final[int]
    status: int
    protocol_version: int
    def __init__(self, *, status: int = ..., protocol_version: int = ...) -> None: ...

class TpStateDeleteRequest(_Message):
    context_id: str
    addresses: RepeatedScalarFieldContainer[str]
    def __init__(self, *, context_id: str = ..., addresses: Iterable[str] = ...) -> None: ...

class TpStateDeleteResponse(_Message):
    STATUS_UNSET: Final[int]
    OK: Final[int]
    AUTHORIZATION_ERROR: Final[int]
    addresses: RepeatedScalarFieldContainer[str]
    status: int
    def __init__(self, *, addresses: Iterable[str] = ..., status: int = ...) -> None: ...

class TpStateEntry(_Message):
    address: str
    data: bytes
    def __init__(self, *, address: str = ..., data: bytes = ...) -> None: ...

class TpStateGetRequest(_Message):
    context_id: str
    addresses: RepeatedScalarFieldContainer[str]
    def __init__(self, *, context_id: str = ..., addresses: Iterable[str] = ...) -> None: ...

class TpStateGetResponse(_Message):
    STATUS_UNSET: Final[int]
    OK: Final[int]
    AUTHORIZATION_ERROR: Final[int]
    entries: RepeatedCompositeFieldContainer[TpStateEntry]
    status: int
    def __init__(self, *, entries: Iterable[TpStateEntry] = ..., status: int = ...) -> None: ...

class TpStateSetRequest(_Message):
    context_id: str
    entries: RepeatedCompositeFieldContainer[TpStateEntry]
    def __init__(self, *, context_id: str = ..., entries: Iterable[TpStateEntry] = ...) -> None: ...

class TpStateSetResponse(_Message):
    STATUS_UNSET: Final[int]
    OK: Final[int]
    AUTHORIZATION_ERROR: Final[int]
    addresses: RepeatedScalarFieldContainer[str]
    status: int
    def __init__(self, *, addresses: Iterable[str] = ..., status: int = ...) -> None: ...

class TpUnregisterRequest(_Message): ...

class TpUnregisterResponse(_Message):
    STATUS_UNSET: Final[int]
    OK: Final[int]
    ERROR: Final[int]
    status: int
    def __init__(self, *, status: int = ...) -> None: ...

class Transaction(_Message):
    header: bytes
    header_signature: str
    payload: bytes
    def __init__(self, *, header: bytes = ..., header_signature: str = ..., payload: bytes = ...) -> None: ...

class TransactionHeader(_Message):
    batcher_public_key: str
    dependencies: RepeatedScalarFieldContainer[str]
    family_name: str
    family_version: str
    inputs: RepeatedScalarFieldContainer[str]
    nonce: str
    outputs: RepeatedScalarFieldContainer[str]
    payload_sha512: str
    signer_public_key: str
    def __init__(
        self,
        *,
        batcher_public_key: str = ...,
        dependencies: Iterable[str] = ...,
        family_name: str = ...,
        family_version: str = ...,
        inputs: Iterable[str] = ...,
        nonce: str = ...,
        outputs: Iterable[str] = ...,
        payload_sha512: str = ...,
        signer_public_key: str = ...,
    ) -> None: ...

class TransactionReceipt(_Message):
    state_changes: RepeatedCompositeFieldContainer[StateChange]
    events: RepeatedCompositeFieldContainer[Event]
    data: RepeatedScalarFieldContainer[bytes]
    transaction_id: str
    def __init__(
        self,
        *,
        state_changes: Iterable[StateChange] = ...,
        events: Iterable[Event] = ...,
        data: Iterable[bytes] = ...,
        transaction_id: str = ...,
    ) -> None: ...
