# Written by tools/generate_corda_messages.py from bridge.proto.

from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Request(_message.Message):
    __slots__ = ("id", "ping", "describe", "verify", "register_attachment", "register_network_parameters", "signable_template", "assemble_signature", "tear_off", "inspect_attachment")
    ID_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    DESCRIBE_FIELD_NUMBER: _ClassVar[int]
    VERIFY_FIELD_NUMBER: _ClassVar[int]
    REGISTER_ATTACHMENT_FIELD_NUMBER: _ClassVar[int]
    REGISTER_NETWORK_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    SIGNABLE_TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    ASSEMBLE_SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    TEAR_OFF_FIELD_NUMBER: _ClassVar[int]
    INSPECT_ATTACHMENT_FIELD_NUMBER: _ClassVar[int]
    id: int
    ping: Ping
    describe: Describe
    verify: Verify
    register_attachment: RegisterAttachment
    register_network_parameters: RegisterNetworkParameters
    signable_template: SignableTemplate
    assemble_signature: AssembleSignature
    tear_off: TearOff
    inspect_attachment: InspectAttachment
    def __init__(self, id: _Optional[int] = ..., ping: _Optional[_Union[Ping, _Mapping[str, object]]] = ..., describe: _Optional[_Union[Describe, _Mapping[str, object]]] = ..., verify: _Optional[_Union[Verify, _Mapping[str, object]]] = ..., register_attachment: _Optional[_Union[RegisterAttachment, _Mapping[str, object]]] = ..., register_network_parameters: _Optional[_Union[RegisterNetworkParameters, _Mapping[str, object]]] = ..., signable_template: _Optional[_Union[SignableTemplate, _Mapping[str, object]]] = ..., assemble_signature: _Optional[_Union[AssembleSignature, _Mapping[str, object]]] = ..., tear_off: _Optional[_Union[TearOff, _Mapping[str, object]]] = ..., inspect_attachment: _Optional[_Union[InspectAttachment, _Mapping[str, object]]] = ...) -> None: ...

class Response(_message.Message):
    __slots__ = ("id", "pong", "description", "verified", "attachment", "network_parameters", "template", "signature", "torn_off", "rejected", "failed")
    ID_FIELD_NUMBER: _ClassVar[int]
    PONG_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    VERIFIED_FIELD_NUMBER: _ClassVar[int]
    ATTACHMENT_FIELD_NUMBER: _ClassVar[int]
    NETWORK_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    TORN_OFF_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    id: int
    pong: Pong
    description: Description
    verified: Verified
    attachment: AttachmentInfo
    network_parameters: NetworkParametersInfo
    template: Template
    signature: AssembledSignature
    torn_off: TornOff
    rejected: Rejected
    failed: Failed
    def __init__(self, id: _Optional[int] = ..., pong: _Optional[_Union[Pong, _Mapping[str, object]]] = ..., description: _Optional[_Union[Description, _Mapping[str, object]]] = ..., verified: _Optional[_Union[Verified, _Mapping[str, object]]] = ..., attachment: _Optional[_Union[AttachmentInfo, _Mapping[str, object]]] = ..., network_parameters: _Optional[_Union[NetworkParametersInfo, _Mapping[str, object]]] = ..., template: _Optional[_Union[Template, _Mapping[str, object]]] = ..., signature: _Optional[_Union[AssembledSignature, _Mapping[str, object]]] = ..., torn_off: _Optional[_Union[TornOff, _Mapping[str, object]]] = ..., rejected: _Optional[_Union[Rejected, _Mapping[str, object]]] = ..., failed: _Optional[_Union[Failed, _Mapping[str, object]]] = ...) -> None: ...

class Rejected(_message.Message):
    __slots__ = ("kind", "causes", "tx_id")
    KIND_FIELD_NUMBER: _ClassVar[int]
    CAUSES_FIELD_NUMBER: _ClassVar[int]
    TX_ID_FIELD_NUMBER: _ClassVar[int]
    kind: str
    causes: _containers.RepeatedCompositeFieldContainer[Cause]
    tx_id: bytes
    def __init__(self, kind: _Optional[str] = ..., causes: _Optional[_Iterable[_Union[Cause, _Mapping[str, object]]]] = ..., tx_id: _Optional[bytes] = ...) -> None: ...

class Cause(_message.Message):
    __slots__ = ("class_name", "message")
    CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    class_name: str
    message: str
    def __init__(self, class_name: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Failed(_message.Message):
    __slots__ = ("code", "message")
    class Code(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNSPECIFIED: _ClassVar[Failed.Code]
        MALFORMED: _ClassVar[Failed.Code]
        TOO_LARGE: _ClassVar[Failed.Code]
        INTERNAL: _ClassVar[Failed.Code]
        OVERLOADED: _ClassVar[Failed.Code]
    UNSPECIFIED: Failed.Code
    MALFORMED: Failed.Code
    TOO_LARGE: Failed.Code
    INTERNAL: Failed.Code
    OVERLOADED: Failed.Code
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: Failed.Code
    message: str
    def __init__(self, code: _Optional[_Union[Failed.Code, str]] = ..., message: _Optional[str] = ...) -> None: ...

class Ping(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Pong(_message.Message):
    __slots__ = ("service_version", "corda_version", "platform_version", "java_version", "threads", "frame_bytes_max", "attachments", "network_parameters")
    SERVICE_VERSION_FIELD_NUMBER: _ClassVar[int]
    CORDA_VERSION_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_VERSION_FIELD_NUMBER: _ClassVar[int]
    JAVA_VERSION_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    FRAME_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    ATTACHMENTS_FIELD_NUMBER: _ClassVar[int]
    NETWORK_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    service_version: str
    corda_version: str
    platform_version: int
    java_version: str
    threads: int
    frame_bytes_max: int
    attachments: int
    network_parameters: int
    def __init__(self, service_version: _Optional[str] = ..., corda_version: _Optional[str] = ..., platform_version: _Optional[int] = ..., java_version: _Optional[str] = ..., threads: _Optional[int] = ..., frame_bytes_max: _Optional[int] = ..., attachments: _Optional[int] = ..., network_parameters: _Optional[int] = ...) -> None: ...

class Describe(_message.Message):
    __slots__ = ("stx",)
    STX_FIELD_NUMBER: _ClassVar[int]
    stx: bytes
    def __init__(self, stx: _Optional[bytes] = ...) -> None: ...

class Description(_message.Message):
    __slots__ = ("tx_id", "kind", "notary", "notary_required", "inputs", "references", "time_window", "network_parameters_hash", "attachments", "required_signers", "output_count", "commands", "signed_by", "output_hashes")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNSPECIFIED: _ClassVar[Description.Kind]
        WIRE: _ClassVar[Description.Kind]
        NOTARY_CHANGE: _ClassVar[Description.Kind]
        CONTRACT_UPGRADE: _ClassVar[Description.Kind]
        UNSUPPORTED: _ClassVar[Description.Kind]
    UNSPECIFIED: Description.Kind
    WIRE: Description.Kind
    NOTARY_CHANGE: Description.Kind
    CONTRACT_UPGRADE: Description.Kind
    UNSUPPORTED: Description.Kind
    TX_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NOTARY_FIELD_NUMBER: _ClassVar[int]
    NOTARY_REQUIRED_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    TIME_WINDOW_FIELD_NUMBER: _ClassVar[int]
    NETWORK_PARAMETERS_HASH_FIELD_NUMBER: _ClassVar[int]
    ATTACHMENTS_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_SIGNERS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_COUNT_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    SIGNED_BY_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_HASHES_FIELD_NUMBER: _ClassVar[int]
    tx_id: bytes
    kind: Description.Kind
    notary: Party
    notary_required: bool
    inputs: _containers.RepeatedCompositeFieldContainer[StateRef]
    references: _containers.RepeatedCompositeFieldContainer[StateRef]
    time_window: TimeWindow
    network_parameters_hash: bytes
    attachments: _containers.RepeatedScalarFieldContainer[bytes]
    required_signers: _containers.RepeatedCompositeFieldContainer[RequiredSigner]
    output_count: int
    commands: _containers.RepeatedCompositeFieldContainer[Command]
    signed_by: _containers.RepeatedScalarFieldContainer[bytes]
    output_hashes: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, tx_id: _Optional[bytes] = ..., kind: _Optional[_Union[Description.Kind, str]] = ..., notary: _Optional[_Union[Party, _Mapping[str, object]]] = ..., notary_required: _Optional[bool] = ..., inputs: _Optional[_Iterable[_Union[StateRef, _Mapping[str, object]]]] = ..., references: _Optional[_Iterable[_Union[StateRef, _Mapping[str, object]]]] = ..., time_window: _Optional[_Union[TimeWindow, _Mapping[str, object]]] = ..., network_parameters_hash: _Optional[bytes] = ..., attachments: _Optional[_Iterable[bytes]] = ..., required_signers: _Optional[_Iterable[_Union[RequiredSigner, _Mapping[str, object]]]] = ..., output_count: _Optional[int] = ..., commands: _Optional[_Iterable[_Union[Command, _Mapping[str, object]]]] = ..., signed_by: _Optional[_Iterable[bytes]] = ..., output_hashes: _Optional[_Iterable[bytes]] = ...) -> None: ...

class StateRef(_message.Message):
    __slots__ = ("tx_id", "index")
    TX_ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    tx_id: bytes
    index: int
    def __init__(self, tx_id: _Optional[bytes] = ..., index: _Optional[int] = ...) -> None: ...

class Party(_message.Message):
    __slots__ = ("name", "key")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    name: str
    key: bytes
    def __init__(self, name: _Optional[str] = ..., key: _Optional[bytes] = ...) -> None: ...

class TimeWindow(_message.Message):
    __slots__ = ("until",)
    FROM_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    until: Instant
    def __init__(self, until: _Optional[_Union[Instant, _Mapping[str, object]]] = ..., **kwargs: object) -> None: ...

class Instant(_message.Message):
    __slots__ = ("seconds", "nanos")
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    NANOS_FIELD_NUMBER: _ClassVar[int]
    seconds: int
    nanos: int
    def __init__(self, seconds: _Optional[int] = ..., nanos: _Optional[int] = ...) -> None: ...

class RequiredSigner(_message.Message):
    __slots__ = ("key", "signed", "notary")
    KEY_FIELD_NUMBER: _ClassVar[int]
    SIGNED_FIELD_NUMBER: _ClassVar[int]
    NOTARY_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    signed: bool
    notary: bool
    def __init__(self, key: _Optional[bytes] = ..., signed: _Optional[bool] = ..., notary: _Optional[bool] = ...) -> None: ...

class Command(_message.Message):
    __slots__ = ("class_name", "signers")
    CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
    SIGNERS_FIELD_NUMBER: _ClassVar[int]
    class_name: str
    signers: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, class_name: _Optional[str] = ..., signers: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Verify(_message.Message):
    __slots__ = ("stx", "states", "signatures", "trusted_attachments", "notary_key")
    class SignaturePolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNSPECIFIED: _ClassVar[Verify.SignaturePolicy]
        ALL_EXCEPT_NOTARY: _ClassVar[Verify.SignaturePolicy]
        ALL: _ClassVar[Verify.SignaturePolicy]
    UNSPECIFIED: Verify.SignaturePolicy
    ALL_EXCEPT_NOTARY: Verify.SignaturePolicy
    ALL: Verify.SignaturePolicy
    STX_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    TRUSTED_ATTACHMENTS_FIELD_NUMBER: _ClassVar[int]
    NOTARY_KEY_FIELD_NUMBER: _ClassVar[int]
    stx: bytes
    states: _containers.RepeatedCompositeFieldContainer[ResolvedState]
    signatures: Verify.SignaturePolicy
    trusted_attachments: _containers.RepeatedScalarFieldContainer[bytes]
    notary_key: bytes
    def __init__(self, stx: _Optional[bytes] = ..., states: _Optional[_Iterable[_Union[ResolvedState, _Mapping[str, object]]]] = ..., signatures: _Optional[_Union[Verify.SignaturePolicy, str]] = ..., trusted_attachments: _Optional[_Iterable[bytes]] = ..., notary_key: _Optional[bytes] = ...) -> None: ...

class ResolvedState(_message.Message):
    __slots__ = ("ref", "state", "network_parameters_hash")
    REF_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    NETWORK_PARAMETERS_HASH_FIELD_NUMBER: _ClassVar[int]
    ref: StateRef
    state: bytes
    network_parameters_hash: bytes
    def __init__(self, ref: _Optional[_Union[StateRef, _Mapping[str, object]]] = ..., state: _Optional[bytes] = ..., network_parameters_hash: _Optional[bytes] = ...) -> None: ...

class Verified(_message.Message):
    __slots__ = ("tx_id", "outputs")
    TX_ID_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    tx_id: bytes
    outputs: _containers.RepeatedCompositeFieldContainer[OutputState]
    def __init__(self, tx_id: _Optional[bytes] = ..., outputs: _Optional[_Iterable[_Union[OutputState, _Mapping[str, object]]]] = ...) -> None: ...

class OutputState(_message.Message):
    __slots__ = ("state", "contract", "state_class", "participants", "notary", "encumbrance")
    STATE_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_FIELD_NUMBER: _ClassVar[int]
    STATE_CLASS_FIELD_NUMBER: _ClassVar[int]
    PARTICIPANTS_FIELD_NUMBER: _ClassVar[int]
    NOTARY_FIELD_NUMBER: _ClassVar[int]
    ENCUMBRANCE_FIELD_NUMBER: _ClassVar[int]
    state: bytes
    contract: str
    state_class: str
    participants: _containers.RepeatedScalarFieldContainer[bytes]
    notary: Party
    encumbrance: int
    def __init__(self, state: _Optional[bytes] = ..., contract: _Optional[str] = ..., state_class: _Optional[str] = ..., participants: _Optional[_Iterable[bytes]] = ..., notary: _Optional[_Union[Party, _Mapping[str, object]]] = ..., encumbrance: _Optional[int] = ...) -> None: ...

class RegisterAttachment(_message.Message):
    __slots__ = ("content", "load_classes")
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    LOAD_CLASSES_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    load_classes: bool
    def __init__(self, content: _Optional[bytes] = ..., load_classes: _Optional[bool] = ...) -> None: ...

class InspectAttachment(_message.Message):
    __slots__ = ("content",)
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    def __init__(self, content: _Optional[bytes] = ...) -> None: ...

class AttachmentInfo(_message.Message):
    __slots__ = ("id", "contracts", "signers", "contract_version", "target_platform_version", "class_count")
    ID_FIELD_NUMBER: _ClassVar[int]
    CONTRACTS_FIELD_NUMBER: _ClassVar[int]
    SIGNERS_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_VERSION_FIELD_NUMBER: _ClassVar[int]
    TARGET_PLATFORM_VERSION_FIELD_NUMBER: _ClassVar[int]
    CLASS_COUNT_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    contracts: _containers.RepeatedScalarFieldContainer[str]
    signers: _containers.RepeatedScalarFieldContainer[bytes]
    contract_version: int
    target_platform_version: int
    class_count: int
    def __init__(self, id: _Optional[bytes] = ..., contracts: _Optional[_Iterable[str]] = ..., signers: _Optional[_Iterable[bytes]] = ..., contract_version: _Optional[int] = ..., target_platform_version: _Optional[int] = ..., class_count: _Optional[int] = ...) -> None: ...

class RegisterNetworkParameters(_message.Message):
    __slots__ = ("parameters",)
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    parameters: bytes
    def __init__(self, parameters: _Optional[bytes] = ...) -> None: ...

class NetworkParametersInfo(_message.Message):
    __slots__ = ("hash", "epoch", "minimum_platform_version", "max_message_bytes", "max_transaction_bytes", "notaries")
    HASH_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_PLATFORM_VERSION_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_TRANSACTION_BYTES_FIELD_NUMBER: _ClassVar[int]
    NOTARIES_FIELD_NUMBER: _ClassVar[int]
    hash: bytes
    epoch: int
    minimum_platform_version: int
    max_message_bytes: int
    max_transaction_bytes: int
    notaries: _containers.RepeatedCompositeFieldContainer[Notary]
    def __init__(self, hash: _Optional[bytes] = ..., epoch: _Optional[int] = ..., minimum_platform_version: _Optional[int] = ..., max_message_bytes: _Optional[int] = ..., max_transaction_bytes: _Optional[int] = ..., notaries: _Optional[_Iterable[_Union[Notary, _Mapping[str, object]]]] = ...) -> None: ...

class Notary(_message.Message):
    __slots__ = ("identity", "validating")
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    VALIDATING_FIELD_NUMBER: _ClassVar[int]
    identity: Party
    validating: bool
    def __init__(self, identity: _Optional[_Union[Party, _Mapping[str, object]]] = ..., validating: _Optional[bool] = ...) -> None: ...

class SignableTemplate(_message.Message):
    __slots__ = ("platform_version", "scheme_number_id")
    PLATFORM_VERSION_FIELD_NUMBER: _ClassVar[int]
    SCHEME_NUMBER_ID_FIELD_NUMBER: _ClassVar[int]
    platform_version: int
    scheme_number_id: int
    def __init__(self, platform_version: _Optional[int] = ..., scheme_number_id: _Optional[int] = ...) -> None: ...

class Template(_message.Message):
    __slots__ = ("template", "tx_id_offset")
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    TX_ID_OFFSET_FIELD_NUMBER: _ClassVar[int]
    template: bytes
    tx_id_offset: int
    def __init__(self, template: _Optional[bytes] = ..., tx_id_offset: _Optional[int] = ...) -> None: ...

class AssembleSignature(_message.Message):
    __slots__ = ("tx_id", "signature", "key", "platform_version", "scheme_number_id")
    TX_ID_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_VERSION_FIELD_NUMBER: _ClassVar[int]
    SCHEME_NUMBER_ID_FIELD_NUMBER: _ClassVar[int]
    tx_id: bytes
    signature: bytes
    key: bytes
    platform_version: int
    scheme_number_id: int
    def __init__(self, tx_id: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., key: _Optional[bytes] = ..., platform_version: _Optional[int] = ..., scheme_number_id: _Optional[int] = ...) -> None: ...

class AssembledSignature(_message.Message):
    __slots__ = ("transaction_signature",)
    TRANSACTION_SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    transaction_signature: bytes
    def __init__(self, transaction_signature: _Optional[bytes] = ...) -> None: ...

class TearOff(_message.Message):
    __slots__ = ("stx", "groups", "outputs")
    STX_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    stx: bytes
    groups: _containers.RepeatedScalarFieldContainer[int]
    outputs: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, stx: _Optional[bytes] = ..., groups: _Optional[_Iterable[int]] = ..., outputs: _Optional[_Iterable[int]] = ...) -> None: ...

class TornOff(_message.Message):
    __slots__ = ("filtered_transaction",)
    FILTERED_TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    filtered_transaction: bytes
    def __init__(self, filtered_transaction: _Optional[bytes] = ...) -> None: ...
