"""A platform with SGX and TDX as software: quotes and collateral in Intel's formats, under a root of its own.

Everything an attacker might change is an argument, so that each attack is one line of a test. What it signs
proves nothing, and no policy accepts it that does not name its root as a simulator's.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import attrs
import orjson
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from coco_enclave.dcap_quote import INTEL_QE_VENDOR, SGX, TDX
from coco_enclave.policy import PlatformPolicy
from coco_enclave.testing.der import enumerated, integer, octets, oid, sequence

Key = ec.EllipticCurvePrivateKey
EVALUATION: Final = 17
QE_SVN: Final = 8
QE_SIGNER: Final = hashlib.sha256(b"who signs the simulated quoting enclave").digest()
SEPT_VE_DISABLE: Final = 1 << 28
_SGX_EXTENSION: Final = "1.2.840.113741.1.13.1"
_PCE_SVN: Final = 11
_COMPONENTS: Final = (5,) * 16
_DAY: Final = timedelta(days=1)


@attrs.frozen(kw_only=True)
class Enclave:
    """The code of an SGX enclave, as its report has it."""

    measurement: bytes = b"\x11" * 32
    signer: bytes = b"\x22" * 32
    product_id: int = 1
    svn: int = 3
    attributes: int = 0x05

    @property
    def debug(self) -> Enclave:
        """The same, built so that its owner can read its memory."""
        return attrs.evolve(self, attributes=self.attributes | 0x02)


@attrs.frozen(kw_only=True)
class TrustDomain:
    """A TDX guest, as its report has it."""

    measurement: bytes = b"\x33" * 48
    registers: tuple[bytes, bytes, bytes, bytes] = (b"\x40" * 48, b"\x41" * 48, b"\x42" * 48, bytes(48))
    attributes: int = SEPT_VE_DISABLE
    module_signer: bytes = bytes(48)
    module_attributes: bytes = bytes(8)
    tcb_svn: bytes = bytes([3, 1, 5, *[0] * 13])
    service_td: bytes = bytes(48)
    later_service_td: bytes | None = None
    """What was bound after it was made, which only reports of type 4 tell; None makes one of type 3."""


@attrs.frozen
class Signer:
    key: Key
    certificate: x509.Certificate


class SimulatedIntel:
    """The vendor, one platform of its, and what it publishes; times are relative to ``now_s``."""

    def __init__(self, now_s: int, *, fmspc: bytes = bytes.fromhex("00906ed50000")) -> None:
        """Make new keys and certificates, valid around ``now_s`` (seconds since 1970)."""
        self.now = datetime.fromtimestamp(now_s, UTC)
        self.fmspc = fmspc
        self.root = self._self_signed("Intel SGX Root CA")
        self.ca = self.issue("Intel SGX PCK Platform CA", self.root, authority=True)
        self.tcb_signer = self.issue("Intel SGX TCB Signing", self.root)
        self.pck = self.issue("Intel SGX PCK Certificate", self.ca, extension=self.sgx_extension())
        self.attestation_key = _new_key()

    @property
    def anchor(self) -> str:
        """What a policy names as a simulator's root."""
        return hashlib.sha256(self.root.certificate.public_bytes(Encoding.DER)).hexdigest()

    def root_before(self) -> x509.Certificate:
        """Return another certificate of the root's name and key: vendors issue them anew before they end."""
        return self._certificate("Intel SGX Root CA", self.root.key, None, True, None, 365)

    def policy(self, **changes: Any) -> PlatformPolicy:
        """Return a policy that accepts any code on this platform."""
        given: dict[str, Any] = {"measurements": None, "simulator_anchors": frozenset({self.anchor})}
        return PlatformPolicy(**{**given, **changes})

    # ── quotes ──────────────────────────────────────────────────────────────────────────────────

    def sgx_quote(self, report_data: bytes, enclave: Enclave | None = None, **changes: Any) -> bytes:
        """Return a quote of version 3 over 64 bytes; ``changes`` as in ``sign``."""
        body = self._enclave_report(enclave or Enclave(), report_data)
        return self.sign(3, 0, body, **changes)

    def tdx_quote(
        self, report_data: bytes, domain: TrustDomain | None = None, version: int = 4, **changes: Any
    ) -> bytes:
        """Return a quote of version 4 or 5 over 64 bytes; ``changes`` as in ``sign``."""
        body = _domain_report(domain or TrustDomain(), report_data, version)
        prefix = struct.pack("<HI", 4 if len(body) > 648 else 3, len(body)) if version == 5 else b""
        return self.sign(version, 0x81, prefix + body, **changes)

    def sign(
        self,
        version: int,
        tee: int,
        body: bytes,
        *,
        vendor: bytes = INTEL_QE_VENDOR,
        qe_signer: bytes = QE_SIGNER,
        qe_data: bytes | None = None,
        chain: Sequence[x509.Certificate] | None = None,
        key_type: int = 2,
        certification_type: int = 5,
    ) -> bytes:
        """Return a quote over ``body``, with what the platform adds to it."""
        header = struct.pack("<HHIHH", version, key_type, tee, QE_SVN, _PCE_SVN) + vendor + bytes(20)
        signed = header + body
        point, authentication = _point(self.attestation_key), bytes(range(32))
        bound = hashlib.sha256(point + authentication).digest() + bytes(32)
        enclave = Enclave(
            measurement=b"\x51" * 32, signer=qe_signer, product_id=1, svn=QE_SVN, attributes=0x15
        )
        report = self._enclave_report(enclave, bound if qe_data is None else qe_data)
        pem = _pem(chain or (self.pck.certificate, self.ca.certificate, self.root.certificate))
        certified = (
            report
            + sign_raw(self.pck.key, report)
            + struct.pack("<H", len(authentication))
            + authentication
            + struct.pack("<HI", certification_type, len(pem))
            + pem
        )
        if version > 3:
            certified = struct.pack("<HI", 6, len(certified)) + certified
        section = sign_raw(self.attestation_key, signed) + point + certified
        return signed + struct.pack("<I", len(section)) + section

    def _enclave_report(self, enclave: Enclave, report_data: bytes) -> bytes:
        return (
            bytes(_COMPONENTS)
            + bytes(32)
            + struct.pack("<QQ", enclave.attributes, 3)
            + enclave.measurement
            + bytes(32)
            + enclave.signer
            + bytes(96)
            + struct.pack("<HH", enclave.product_id, enclave.svn)
            + bytes(60)
            + report_data
        )

    # ── collateral ──────────────────────────────────────────────────────────────────────────────

    def collateral(
        self,
        kind: str = SGX,
        *,
        tcb_info: Mapping[str, Any] | None = None,
        qe_identity: Mapping[str, Any] | None = None,
        tcb_signer: Signer | None = None,
        tcb_chain: Sequence[x509.Certificate] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> bytes:
        """Return what the vendor publishes, signed after the changes to the two documents.

        ``fields`` replace the nine themselves, after everything was signed.
        """
        signer = tcb_signer or self.tcb_signer
        chain = _pem(tcb_chain or (signer.certificate, self.root.certificate)).decode()
        tcb = orjson.dumps({**self.tcb_info(kind), **(tcb_info or {})})
        identity = orjson.dumps({**self.qe_identity(kind), **(qe_identity or {})})
        value = {
            "pck_crl_issuer_chain": _pem((self.ca.certificate, self.root.certificate)).decode(),
            "root_ca_crl": self.crl(self.root).hex(),
            "pck_crl": self.crl(self.ca).hex(),
            "tcb_info_issuer_chain": chain,
            "tcb_info": tcb.decode(),
            "tcb_info_signature": sign_raw(signer.key, tcb).hex(),
            "qe_identity_issuer_chain": chain,
            "qe_identity": identity.decode(),
            "qe_identity_signature": sign_raw(signer.key, identity).hex(),
        }
        return orjson.dumps({**value, **(fields or {})})

    def tcb_info(self, kind: str = SGX) -> dict[str, Any]:
        """Return the TCB info before it is signed: this platform is up to date."""
        value = {
            "id": kind.upper(),
            "version": 3,
            **self._times(),
            "fmspc": self.fmspc.hex().upper(),
            "pceId": "0000",
            "tcbType": 0,
            "tcbEvaluationDataNumber": EVALUATION,
            "tcbLevels": [
                tcb_level(5, _PCE_SVN, "UpToDate", kind=kind),
                tcb_level(0, 0, "OutOfDate", ["INTEL-SA-99999"], kind=kind),
            ],
        }
        if kind == TDX:
            module = {"mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "FF" * 8}
            levels = [{"tcb": {"isvsvn": 2}, "tcbDate": "2024-03-13T00:00:00Z", "tcbStatus": "UpToDate"}]
            value["tdxModule"] = module
            value["tdxModuleIdentities"] = [{"id": "TDX_01", **module, "tcbLevels": levels}]
        return value

    def qe_identity(self, kind: str = SGX, svn: int = QE_SVN, status: str = "UpToDate") -> dict[str, Any]:
        """Return the identity of the quoting enclave before it is signed."""
        return {
            "id": "QE" if kind == SGX else "TD_QE",
            "version": 2,
            **self._times(),
            "tcbEvaluationDataNumber": EVALUATION,
            "miscselect": "00000000",
            "miscselectMask": "FFFFFFFF",
            "attributes": "11" + "00" * 15,
            "attributesMask": "FB" + "FF" * 7 + "00" * 8,
            "mrsigner": QE_SIGNER.hex().upper(),
            "isvprodid": 1,
            "tcbLevels": [{"tcb": {"isvsvn": svn}, "tcbDate": "2024-03-13T00:00:00Z", "tcbStatus": status}],
        }

    def crl(
        self, issuer: Signer, revoked: Sequence[x509.Certificate] = (), begins: datetime | None = None
    ) -> bytes:
        """Return a revocation list, DER."""
        key_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.certificate.subject)
            .last_update(begins or self.now - _DAY)
            .next_update(self.now + 29 * _DAY)
            .add_extension(x509.CRLNumber(1), critical=False)
            .add_extension(key_id, critical=False)
        )
        for one in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(one.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(self.now - 2 * _DAY).build())
        return builder.sign(issuer.key, SHA256()).public_bytes(Encoding.DER)

    def _times(self) -> dict[str, str]:
        form = "%Y-%m-%dT%H:%M:%SZ"
        return {
            "issueDate": (self.now - _DAY).strftime(form),
            "nextUpdate": (self.now + 29 * _DAY).strftime(form),
        }

    # ── certificates ────────────────────────────────────────────────────────────────────────────

    def issue(
        self,
        name: str,
        issuer: Signer,
        *,
        authority: bool = False,
        extension: bytes | None = None,
        days: int = 3650,
    ) -> Signer:
        """Return a new key with a certificate under ``issuer``, valid for ``days``."""
        key = _new_key()
        return Signer(key, self._certificate(name, key, issuer, authority, extension, days))

    def _self_signed(self, name: str) -> Signer:
        key = _new_key()
        return Signer(key, self._certificate(name, key, None, True, None, 3650))

    def _certificate(
        self, name: str, key: Key, issuer: Signer | None, authority: bool, extension: bytes | None, days: int
    ) -> x509.Certificate:
        signer = issuer.key if issuer is not None else key
        crl = x509.DistributionPoint(
            [x509.UniformResourceIdentifier("https://test.invalid/crl")], None, None, None
        )
        usage = dict.fromkeys(
            ("key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"),
            False,
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(issuer.certificate.subject if issuer is not None else _name(name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - 30 * _DAY)
            .not_valid_after(self.now + days * _DAY)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False)
            .add_extension(x509.CRLDistributionPoints([crl]), False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=not authority,
                    content_commitment=not authority,
                    key_cert_sign=authority,
                    crl_sign=authority,
                    **usage,
                ),
                True,
            )
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), True)
        )
        if extension is not None:
            value = x509.UnrecognizedExtension(x509.ObjectIdentifier(_SGX_EXTENSION), extension)
            builder = builder.add_extension(value, False)
        return builder.sign(signer, SHA256())

    def sgx_extension(self) -> bytes:
        """Return what Intel's certificates say of a platform (its PCK certificate profile, 1.3.5)."""
        base = _SGX_EXTENSION
        tcb = [
            sequence(oid(f"{base}.2.{number}"), integer(svn))
            for number, svn in enumerate(_COMPONENTS, start=1)
        ]
        tcb.append(sequence(oid(f"{base}.2.17"), integer(_PCE_SVN)))
        tcb.append(sequence(oid(f"{base}.2.18"), octets(bytes(_COMPONENTS))))
        return sequence(
            sequence(oid(f"{base}.1"), octets(b"\x77" * 16)),
            sequence(oid(f"{base}.2"), sequence(*tcb)),
            sequence(oid(f"{base}.3"), octets(bytes(2))),
            sequence(oid(f"{base}.4"), octets(self.fmspc)),
            sequence(oid(f"{base}.5"), enumerated(0)),
        )


def tcb_level(
    svn: int, pce_svn: int, status: str, advisories: Sequence[str] = (), *, kind: str = SGX
) -> dict[str, Any]:
    """Return one level of TCB info: platforms that have at least these versions have this status."""
    tcb: dict[str, Any] = {"sgxtcbcomponents": [{"svn": svn}] * 16, "pcesvn": pce_svn}
    if kind == TDX:
        tcb["tdxtcbcomponents"] = [{"svn": 0}] * 16
    level = {"tcb": tcb, "tcbDate": "2024-03-13T00:00:00Z", "tcbStatus": status}
    return {**level, "advisoryIDs": list(advisories)}


def sign_raw(key: Key, data: bytes) -> bytes:
    """Return a signature in 64 bytes, r and s big-endian."""
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _domain_report(domain: TrustDomain, report_data: bytes, version: int) -> bytes:
    body = (
        domain.tcb_svn
        + b"\x61" * 48
        + domain.module_signer
        + domain.module_attributes
        + struct.pack("<QQ", domain.attributes, 0x0006_00E7)
        + domain.measurement
        + bytes(144)
        + b"".join(domain.registers)
        + report_data
    )
    if version < 5:
        return body
    body += domain.tcb_svn + domain.service_td
    if domain.later_service_td is None:
        return body
    created = domain.service_td + bytes(8 + 16) + domain.tcb_svn + bytes(12)
    return body + bytes(1) + b"\x71" * 32 + bytes(48) + created + domain.later_service_td + bytes(8)


def _new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def _point(key: Key) -> bytes:
    numbers = key.public_key().public_numbers()
    return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


def _pem(chain: Sequence[x509.Certificate]) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in chain)


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Coco simulator, proves nothing"),
        ]
    )
