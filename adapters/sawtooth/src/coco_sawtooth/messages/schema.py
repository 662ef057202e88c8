"""Sawtooth's messages in our notation, with the field numbers of version 1.2.6. Knows nothing else.

Gaps between numbers are the protocol's own. Enums whose values clients see by name are written out.
"""

from typing import Final

LEDGER: Final = """
TransactionHeader: batcher_public_key string 1, dependencies string* 2, family_name string 3,
    family_version string 4, inputs string* 5, nonce string 6, outputs string* 7, payload_sha512 string 9,
    signer_public_key string 10
Transaction: header bytes 1, header_signature string 2, payload bytes 3
BatchHeader: signer_public_key string 1, transaction_ids string* 2
Batch: header bytes 1, header_signature string 2, transactions Transaction* 3, trace bool 4
BatchList: batches Batch* 1
BlockHeader: block_num uint64 1, previous_block_id string 2, signer_public_key string 3, batch_ids string* 4,
    consensus bytes 5, state_root_hash string 6
Block: header bytes 1, header_signature string 2, batches Batch* 3
GenesisData: batches Batch* 1
Event: event_type string 1, attributes Attribute* 2, data bytes 3
Event.Attribute: key string 1, value string 2
EventList: events Event* 1
StateChange: address string 1, value bytes 2, type Type 3
    Type: TYPE_UNSET 0, SET 1, DELETE 2
StateChangeList: state_changes StateChange* 1
TransactionReceipt: state_changes StateChange* 1, events Event* 2, data bytes* 3, transaction_id string 4
"""
"""What is signed, stored and told."""

FAMILIES: Final = """
Setting: entries Entry* 1
Setting.Entry: key string 1, value string 2
SettingsPayload: action Action 1, data bytes 2
    Action: ACTION_UNSET 0, PROPOSE 1, VOTE 2
SettingProposal: setting string 1, value string 2, nonce string 3
SettingVote: proposal_id string 1, vote Vote 2
    Vote: VOTE_UNSET 0, ACCEPT 1, REJECT 2
SettingCandidate: proposal_id string 1, proposal SettingProposal 2, votes VoteRecord* 3
SettingCandidate.VoteRecord: public_key string 1, vote SettingVote.Vote 2
SettingCandidates: candidates SettingCandidate* 1
IdentityPayload: type IdentityType 1, data bytes 2
    IdentityType: UNSET 0, POLICY 1, ROLE 2
Policy: name string 1, entries Entry* 2
    EntryType: ENTRY_TYPE_UNSET 0, PERMIT_KEY 1, DENY_KEY 2
Policy.Entry: type EntryType 1, key string 2
PolicyList: policies Policy* 1
Role: name string 1, policy_name string 2
RoleList: roles Role* 1
BlockInfoConfig: latest_block uint64 1, oldest_block uint64 2, target_count uint64 3, sync_tolerance uint64 4
BlockInfo: block_num uint64 1, previous_block_id string 2, signer_public_key string 3,
    header_signature string 4, timestamp uint64 5
BlockInfoTxn: block BlockInfo 1, target_count uint64 2, sync_tolerance uint64 3
"""
"""Payloads and state of the families that are built in."""

PROCESSORS: Final = """
Message: message_type uint32 1, correlation_id string 2, content bytes 3
PingRequest:
PingResponse:
TpRegisterRequest: family string 1, version string 2, namespaces string* 4, max_occupancy uint32 5,
    protocol_version uint32 6, request_header_style TpProcessRequestHeaderStyle 7
    TpProcessRequestHeaderStyle: HEADER_STYLE_UNSET 0, EXPANDED 1, RAW 2
TpRegisterResponse: status Status 1, protocol_version uint32 2
    Status: STATUS_UNSET 0, OK 1, ERROR 2
TpUnregisterRequest:
TpUnregisterResponse: status Status 1
    Status: STATUS_UNSET 0, OK 1, ERROR 2
TpProcessRequest: header TransactionHeader 1, payload bytes 2, signature string 3, context_id string 4,
    header_bytes bytes 5
TpProcessResponse: status Status 1, message string 2, extended_data bytes 3
    Status: STATUS_UNSET 0, OK 1, INVALID_TRANSACTION 2, INTERNAL_ERROR 3
TpStateEntry: address string 1, data bytes 2
TpStateGetRequest: context_id string 1, addresses string* 2
TpStateGetResponse: entries TpStateEntry* 1, status Status 2
    Status: STATUS_UNSET 0, OK 1, AUTHORIZATION_ERROR 2
TpStateSetRequest: context_id string 1, entries TpStateEntry* 2
TpStateSetResponse: addresses string* 1, status Status 2
    Status: STATUS_UNSET 0, OK 1, AUTHORIZATION_ERROR 2
TpStateDeleteRequest: context_id string 1, addresses string* 2
TpStateDeleteResponse: addresses string* 1, status Status 2
    Status: STATUS_UNSET 0, OK 1, AUTHORIZATION_ERROR 2
TpReceiptAddDataRequest: context_id string 1, data bytes 3
TpReceiptAddDataResponse: status Status 2
    Status: STATUS_UNSET 0, OK 1, ERROR 2
TpEventAddRequest: context_id string 1, event Event 2
TpEventAddResponse: status Status 2
    Status: STATUS_UNSET 0, OK 1, ERROR 2
"""
"""What transaction processors and the validator say to each other."""

CLIENTS: Final = """
ClientPagingControls: start string 1, limit int32 2
ClientPagingResponse: next string 1, start string 2, limit int32 3
ClientSortControls: keys string* 1, reverse bool 2
ClientBatchListRequest: head_id string 1, batch_ids string* 2, paging ClientPagingControls 3,
    sorting ClientSortControls* 4
ClientBatchListResponse: status Status 1, batches Batch* 2, head_id string 3, paging ClientPagingResponse 4
    Status: STATUS_UNSET 0, OK 1, INTERNAL_ERROR 2, NOT_READY 3, NO_ROOT 4, NO_RESOURCE 5, INVALID_PAGING 6,
    INVALID_SORT 7, INVALID_ID 8
ClientBatchGetRequest: batch_id string 1
ClientBatchGetResponse: status Status 1, batch Batch 2
    Status: STATUS_UNSET 0, OK 1, INTERNAL_ERROR 2, NO_RESOURCE 5, INVALID_ID 8
ClientBatchStatus: batch_id string 1, status Status 2, invalid_transactions InvalidTransaction* 3
    Status: STATUS_UNSET 0, COMMITTED 1, INVALID 2, PENDING 3, UNKNOWN 4
ClientBatchStatus.InvalidTransaction: transaction_id string 1, message string 2, extended_data bytes 3
ClientBatchSubmitRequest: batches Batch* 1
ClientBatchSubmitResponse: status Status 1
    Status: STATUS_UNSET 0, OK 1, INTERNAL_ERROR 2, INVALID_BATCH 3, QUEUE_FULL 4
ClientBatchStatusRequest: batch_ids string* 1, wait bool 2, timeout uint32 3
ClientBatchStatusResponse: status Status 1, batch_statuses ClientBatchStatus* 2
    Status: STATUS_UNSET 0, OK 1, INTERNAL_ERROR 2, NO_RESOURCE 5, INVALID_ID 8
ClientBlockListRequest: head_id string 1, block_ids string* 2, paging ClientPagingControls 3,
    sorting ClientSortControls* 4
ClientBlockListResponse: status Status 1, blocks Block* 2, head_id string 3, paging ClientPagingResponse 4
    Status: STATUS_UNSET 0, OK 1, INTERNAL_ERROR 2, NOT_READY 3, NO_ROOT 4, NO_RESOURCE 5, INVALID_PAGING 6,
    INVALID_SORT 7, INVALID_ID 8
ClientBlockGetByIdRequest: block_id string 1
ClientBlockGetByNumRequest: block_num uint64 1
ClientBlockGetByTransactionIdRequest: transaction_id string 1
ClientBlockGetByBatchIdRequest: batch_id string 1
ClientBlockGetResponse: status Status 1, block Block 2
    Status: STATUS_UNSET 0, OK 1, INTERNAL_ERROR 2, NO_RESOURCE 5, INVALID_ID 8
EventFilter: key string 1, match_string string 2, filter_type FilterType 3
    FilterType: FILTER_TYPE_UNSET 0, SIMPLE_ANY 1, SIMPLE_ALL 2, REGEX_ANY 3, REGEX_ALL 4
EventSubscription: event_type string 1, filters EventFilter* 2
ClientEventsSubscribeRequest: subscriptions EventSubscription* 1, last_known_block_ids string* 2
ClientEventsSubscribeResponse: status Status 1, response_message string 2
    Status: STATUS_UNSET 0, OK 1, INVALID_FILTER 2, UNKNOWN_BLOCK 3
ClientEventsUnsubscribeRequest:
ClientEventsUnsubscribeResponse: status Status 1
    Status: STATUS_UNSET 0, OK 1, INTERNAL_ERROR 2
ClientEventsGetRequest: subscriptions EventSubscription* 1, block_ids string* 2
ClientEventsGetResponse: status Status 1, events Event* 2
    Status: STATUS_UNSET 0, OK 1, INTERNAL_ERROR 2, INVALID_FILTER 3, UNKNOWN_BLOCK 4
ClientPeersGetRequest:
ClientPeersGetResponse: status Status 1, peers string* 2
    Status: STATUS_UNSET 0, OK 1, ERROR 2
ClientReceiptGetRequest: transaction_ids string* 1
ClientReceiptGetResponse: status Status 1, receipts TransactionReceipt* 2
    Status: STATUS_UNSET 0, OK 1, INTERNAL_ERROR 2, NO_RESOURCE 5, INVALID_ID 8
ClientStateListRequest: state_root string 1, address string 3, paging ClientPagingControls 4,
    sorting ClientSortControls* 5
ClientStateListResponse: status Status 1, entries Entry* 2, state_root string 3, paging ClientPagingResponse 4
    Status: STATUS_UNSET 0, OK 1, INTERNAL_ERROR 2, NOT_READY 3, NO_ROOT 4, NO_RESOURCE 5, INVALID_PAGING 6,
    INVALID_SORT 7, INVALID_ADDRESS 8, INVALID_ROOT 9
ClientStateListResponse.Entry: address string 1, data bytes 2
ClientStateGetRequest: state_root string 1, address string 3
ClientStateGetResponse: status Status 1, value bytes 2, state_root string 3
    Status: STATUS_UNSET 0, OK 1, INTERNAL_ERROR 2, NOT_READY 3, NO_ROOT 4, NO_RESOURCE 5, INVALID_ADDRESS 6,
    INVALID_ROOT 7
ClientStatusGetRequest:
ClientStatusGetResponse: status Status 1, peers Peer* 2, endpoint string 3
    Status: STATUS_UNSET 0, OK 1, ERROR 2
ClientStatusGetResponse.Peer: endpoint string 1
ClientTransactionListRequest: head_id string 1, transaction_ids string* 2, paging ClientPagingControls 3,
    sorting ClientSortControls* 4
ClientTransactionListResponse: status Status 1, transactions Transaction* 2, head_id string 3,
    paging ClientPagingResponse 4
    Status: STATUS_UNSET 0, OK 1, INTERNAL_ERROR 2, NOT_READY 3, NO_ROOT 4, NO_RESOURCE 5, INVALID_PAGING 6,
    INVALID_SORT 7, INVALID_ID 8
ClientTransactionGetRequest: transaction_id string 1
ClientTransactionGetResponse: status Status 1, transaction Transaction 2
    Status: STATUS_UNSET 0, OK 1, INTERNAL_ERROR 2, NO_RESOURCE 5, INVALID_ID 8
"""
"""What clients ask over the same socket."""
