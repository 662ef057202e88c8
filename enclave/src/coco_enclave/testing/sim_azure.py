"""Simulated Azure machines: a paravisor's report with its virtual TPM, and a utility VM's endorsement.

Layouts: as ``hcl`` and ``uvm`` read them. Hardware and TPM are the simulated ones of ``sim_snp`` and
``sim_tpm``.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import struct
from collections.abc import Sequence
from typing import Any

import attrs
import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from coco_enclave.azure import HCL, QUOTE, REGISTERS, SIGNATURE
from coco_enclave.azure_tdx import TD_QUOTE
from coco_enclave.evidence import encode_parts
from coco_enclave.hcl import SNP, TDX
from coco_enclave.testing.authority import Issued, issue, rsa_key
from coco_enclave.testing.sim_sgx import SimulatedIntel
from coco_enclave.testing.sim_snp import SnpChip
from coco_enclave.testing.sim_tpm import Tpm
from coco_enclave.tpm import REGISTERS as REGISTER_COUNT

_EKU = "1.3.6.1.4.1.311.76.59.1.2"


@attrs.define(kw_only=True)
class AzureGuest:
    """A confidential VM."""

    chip: SnpChip
    tpm: Tpm
    paravisor: bytes = b"P" * 48

    def data(self, *, kid: str = "HCLAkPub", copies: int = 1) -> bytes:
        """Return the data the hardware vouches for: the virtual TPM's key."""
        key = self.tpm.ak.key.public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        numbers = key.public_numbers()
        web_key = {"kid": kid, "kty": "RSA", "e": _base64url(numbers.e), "n": _base64url(numbers.n)}
        return json.dumps({"keys": [web_key] * copies, "vm-configuration": {"secure-boot": True}}).encode()

    def hcl(self, data: bytes | None = None, **fields: Any) -> bytes:
        """Return the paravisor's report; ``fields`` are those of an SNP report."""
        bound = self.data() if data is None else data
        report = self.chip.report(hashlib.sha256(bound).digest().ljust(64, b"\0"), self.paravisor, **fields)
        return hcl_report(report, bound)

    def evidence(
        self, nonce: bytes, *, hcl: bytes | None = None, selection: Sequence[int] = (4, 7, 9)
    ) -> bytes:
        """Return evidence of kind ``azure-snp``."""
        quote, signature = self.tpm.quote(nonce, selection)
        registers = b"".join(self.tpm.register(index) for index in range(REGISTER_COUNT))
        return encode_parts(
            {
                HCL: self.hcl() if hcl is None else hcl,
                QUOTE: quote,
                SIGNATURE: signature[6:],  # Azure's tools hand it without scheme, hash and size.
                REGISTERS: registers,
            }
        )

    def tdx_evidence(
        self,
        nonce: bytes,
        intel: SimulatedIntel,
        *,
        bound: bytes | None = None,
        selection: Sequence[int] = (4, 7, 9),
    ) -> bytes:
        """Return evidence of kind ``azure-tdx``: of the same guest, on hardware of ``intel``."""
        digest = hashlib.sha256(self.data()).digest() if bound is None else bound
        quote, signature = self.tpm.quote(nonce, selection)
        return encode_parts(
            {
                HCL: hcl_report(bytes(1184), self.data(), kind=TDX, version=2),
                TD_QUOTE: intel.tdx_quote(digest.ljust(64, b"\0")),
                QUOTE: quote,
                SIGNATURE: signature[6:],
                REGISTERS: b"".join(self.tpm.register(index) for index in range(REGISTER_COUNT)),
            }
        )


def hcl_report(hardware: bytes, data: bytes, *, kind: int = SNP, version: int = 1) -> bytes:
    """Return a paravisor's report of a hardware report and the data it vouches for."""
    size = 32 + len(hardware) + 20 + len(data)
    head = b"HCLA" + struct.pack("<4I12x", version, size, 2, 0)
    return head + hardware + struct.pack("<5I", 20 + len(data), 1, kind, 1, len(data)) + data + bytes(64)


def _base64url(number: int) -> str:
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@attrs.frozen(kw_only=True)
class UvmIssuer:
    """Who endorses utility VMs."""

    root: Issued
    leaf: Issued

    @property
    def did(self) -> str:
        """The name an endorsement has for it."""
        digest = base64.urlsafe_b64encode(hashlib.sha256(self.root.der).digest()).rstrip(b"=").decode()
        return f"did:x509:0:sha256:{digest}::eku:{_EKU}"

    def endorsement(
        self,
        measurement: bytes,
        *,
        svn: object = "100",
        feed: object = "ContainerPlat-AMD-UVM",
        did: object = None,
        signed_at_s: int | None = None,
        header: dict[object, object] | None = None,
        payload: bytes | None = None,
        tag: int = 18,
    ) -> bytes:
        """Return a COSE_Sign1 that endorses a launch measurement; the rest makes it a wrong one."""
        protected_header: dict[object, object] = {
            1: -38,
            33: [self.leaf.der, self.root.der],
            "iss": self.did if did is None else did,
            "feed": feed,
        }
        if signed_at_s is not None:
            at = datetime.datetime.fromtimestamp(signed_at_s, datetime.UTC)
            protected_header["signingtime"] = at
        statement = {"x-ms-sevsnpvm-guestsvn": svn, "x-ms-sevsnpvm-launchmeasurement": measurement.hex()}
        body = json.dumps(statement).encode() if payload is None else payload
        return self._signed(protected_header | (header or {}), body, tag)

    def claims_endorsement(
        self,
        measurement: bytes,
        *,
        claims: dict[object, object] | None = None,
        header: dict[object, object] | None = None,
    ) -> bytes:
        """Return an endorsement in the form of 2025: claims in the header, the measurement as it is."""
        stated = {1: self.did, 2: "ContainerPlat-AMD-UVM", "svn": 100} | (claims or {})
        algorithm = -35 if isinstance(self.leaf.key, ec.EllipticCurvePrivateKey) else -38
        chain = [self.leaf.der, self.root.der]
        fields = {1: algorithm, 15: stated, 33: chain, 258: -43, 259: "application/octet-stream"}
        return self._signed(fields | (header or {}), measurement, 18)

    def _signed(self, header: dict[Any, Any], payload: bytes, tag: int) -> bytes:
        protected = cbor2.dumps(header)
        to_sign = cbor2.dumps(["Signature1", protected, b"", payload])
        if isinstance(self.leaf.key, ec.EllipticCurvePrivateKey):
            r, s = decode_dss_signature(self.leaf.key.sign(to_sign, ec.ECDSA(hashes.SHA384())))
            signature = r.to_bytes(48, "big") + s.to_bytes(48, "big")
        else:
            assert isinstance(self.leaf.key, rsa.RSAPrivateKey)
            pss = padding.PSS(mgf=padding.MGF1(hashes.SHA384()), salt_length=48)
            signature = self.leaf.key.sign(to_sign, pss, hashes.SHA384())
        return cbor2.dumps(cbor2.CBORTag(tag, [protected, {}, payload, signature]))


def make_uvm_issuer(
    now_s: int,
    *,
    lifetime_s: int = 365 * 24 * 3600,
    use: str = _EKU,
    key: ec.EllipticCurvePrivateKey | None = None,
) -> UvmIssuer:
    """Make who endorses utility VMs; with an RSA key unless another is given."""
    root = issue("Simulated UVM root", rsa_key(), None, now_s=now_s, authority=True)
    usage = {"2.5.29.37": x509.ExtendedKeyUsage([x509.ObjectIdentifier(use)]).public_bytes()}
    leaf = issue(
        "Simulated UVM", key or rsa_key(), root, now_s=now_s, lifetime_s=lifetime_s, extensions=usage
    )
    return UvmIssuer(root=root, leaf=leaf)
