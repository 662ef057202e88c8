"""Simulated machines for nodes to run on as on real ones: made once, kept in a file, opened by a node.

A machine is a chip with its vendor, whose keys are in the file too: whoever has it *is* the vendor. It says
of the code whatever it is told. So it proves nothing, and a policy accepts it by the root that was made with
it, for development alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from coco_core.attestation import Evidence
from coco_enclave import snp, vbs
from coco_enclave.dcap_quote import SGX
from coco_enclave.evidence import decode_parts, encode_parts
from coco_enclave.limits import EVIDENCE_SIZE_MAX_BYTES
from coco_enclave.snp_report import MILAN
from coco_enclave.testing import sim_snp, sim_tpm, sim_vbs
from coco_enclave.testing.authority import Issued
from coco_enclave.testing.sim_sgx import Enclave, Signer, SimulatedIntel
from coco_enclave.tpm import REGISTERS
from coco_enclave.verify import verifier_of

_DIGEST_BYTES: Final = {SGX: 32, snp.KIND: 48, vbs.KIND: 32}
KINDS: Final = tuple(_DIGEST_BYTES)
"""Which machines there are, by the kind of their evidence."""
CODE: Final = "the simulated node"
"""What runs on a machine that is told nothing else."""
_KIND, _ANCHOR, _COLLATERAL = "kind", "anchor", "collateral"
_COMMON: Final = (_KIND, _ANCHOR, _COLLATERAL)


@attrs.frozen(kw_only=True)
class Machine:
    """One machine, and everything its vendor publishes of it."""

    kind: str
    anchor: str
    """SHA-256 of its vendor's root: what a policy names among its ``simulator_anchors``."""
    collateral: bytes = attrs.field(repr=False)
    keys: Mapping[str, bytes] = attrs.field(repr=False)
    """What it signs with, in the form of its kind."""

    def quote(self, report_data: bytes, code: str = CODE, host_data: bytes = bytes(32)) -> bytes:
        """Return a quote over 64 bytes, of code that is named as one likes; only SNP has ``host_data``."""
        digest = hashlib.sha512(code.encode()).digest()[: _DIGEST_BYTES[self.kind]]
        return _QUOTES[self.kind](self.keys, report_data, digest, host_data)

    def measurement(self, code: str = CODE) -> str:
        """Return what that code is measured as."""
        return verifier_of(self.kind).read(self.quote(bytes(64), code)).measurement

    def policy(self, *codes: str, **rules: Any) -> dict[str, Any]:
        """Return what a policy file says of this kind for this machine to be accepted with those ``codes``.

        With ``rules``, those that only this kind has.
        """
        accepted = {
            "measurements": sorted(map(self.measurement, codes or (CODE,))),
            "simulator_anchors": [self.anchor],
        }
        return {**accepted, "rules": rules} if rules else accepted

    def to_bytes(self) -> bytes:
        """Return the machine as one file."""
        about = {_KIND: self.kind.encode(), _ANCHOR: self.anchor.encode(), _COLLATERAL: self.collateral}
        return encode_parts({**about, **self.keys})

    @classmethod
    def from_bytes(cls, kind: str, data: bytes) -> Machine:
        """Return the machine of this kind in a file; raises EvidenceError (``malformed``) for another."""
        needed = _PARTS[kind]
        parts = decode_parts(data, {*_COMMON, *needed}, size_max_bytes=EVIDENCE_SIZE_MAX_BYTES)
        return cls(
            kind=kind,
            anchor=parts[_ANCHOR].decode(),
            collateral=parts[_COLLATERAL],
            keys={name: parts[name] for name in needed},
        )


@attrs.frozen(kw_only=True)
class SimulatedPlatform:
    """What a node on such a machine runs on."""

    machine: Machine
    code: str = CODE
    host_data: bytes = bytes(32)

    @property
    def format(self) -> str:
        """The kind of its evidence, which is that of the real machine it simulates."""
        return self.machine.kind

    def attest(self, report_data: bytes) -> Evidence:
        """Return evidence over 64 bytes."""
        quote = self.machine.quote(report_data, self.code, self.host_data)
        return Evidence(format=self.format, quote=quote, endorsements=self.machine.collateral)


def make_machine(kind: str, now_s: int) -> Machine:
    """Make a machine of one of ``KINDS``, its vendor with it; certificates are valid around ``now_s``."""
    return _MAKERS[kind](now_s)


# ── SGX ──────────────────────────────────────────────────────────────────────────────────────────


class _KnownIntel(SimulatedIntel):
    """A platform whose keys are read back instead of made; it publishes nothing new."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self.root, self.ca, self.pck = (_signer(keys, name) for name in ("root", "ca", "pck"))
        self.attestation_key = _elliptic(keys["attestation-key"])


def _make_sgx(now_s: int) -> Machine:
    intel = SimulatedIntel(now_s)
    keys = {"attestation-key": _key_bytes(intel.attestation_key)}
    for name, signer in (("root", intel.root), ("ca", intel.ca), ("pck", intel.pck)):
        keys |= _issued_parts(name, signer.key, signer.certificate)
    return Machine(kind=SGX, anchor=intel.anchor, collateral=intel.collateral(), keys=keys)


def _quote_sgx(keys: Mapping[str, bytes], report_data: bytes, code: bytes, host_data: bytes) -> bytes:
    del host_data  # An enclave has none.
    return _KnownIntel(keys).sgx_quote(report_data, Enclave(measurement=code))


# ── SEV-SNP ──────────────────────────────────────────────────────────────────────────────────────


def _make_snp(now_s: int) -> Machine:
    chip = sim_snp.make_snp_chip(sim_snp.make_snp_vendor(now_s), now_s=now_s)
    keys = {"chip-id": chip.chip_id}
    for name, issued in (("ark", chip.vendor.ark), ("ask", chip.vendor.ask), ("leaf", chip.leaf)):
        keys |= _issued_parts(name, issued.key, issued.certificate)
    return Machine(kind=snp.KIND, anchor=chip.vendor.anchor, collateral=chip.collateral(), keys=keys)


def _quote_snp(keys: Mapping[str, bytes], report_data: bytes, code: bytes, host_data: bytes) -> bytes:
    ark, ask, leaf = (_issued(keys, name) for name in ("ark", "ask", "leaf"))
    vendor = sim_snp.SnpVendor(product=MILAN, ark=ark, ask=ask, asvk=ask)
    chip = sim_snp.SnpChip(vendor=vendor, tcb=sim_snp.TCB, chip_id=keys["chip-id"], leaf=leaf, loaded=False)
    return chip.report(report_data, code, host_data=host_data)


# ── VBS ──────────────────────────────────────────────────────────────────────────────────────────


def _make_vbs(now_s: int) -> Machine:
    vendor = sim_tpm.make_tpm_vendor(now_s)
    host = sim_vbs.boot_windows(sim_tpm.make_tpm(vendor, now_s=now_s))
    keys = {
        "registers": b"".join(host.tpm.register(index) for index in range(REGISTERS)),
        "log": host.tpm.log,
        "secure-kernel": _key_bytes(host.idks),
        **_issued_parts("ak", host.tpm.ak.key, host.tpm.ak.certificate),
    }
    return Machine(kind=vbs.KIND, anchor=vendor.anchor, collateral=host.tpm.chain, keys=keys)


def _quote_vbs(keys: Mapping[str, bytes], report_data: bytes, code: bytes, host_data: bytes) -> bytes:
    del host_data  # An enclave has none.
    size = len(keys["registers"]) // REGISTERS
    registers = {index: keys["registers"][index * size :][:size] for index in range(REGISTERS)}
    tpm = sim_tpm.Tpm(ak=_issued(keys, "ak"), chain=b"", registers=registers, log=keys["log"])
    idks = cast("rsa.RSAPrivateKey", _key(keys["secure-kernel"]))
    host = sim_vbs.VbsHost(tpm=tpm, idks=idks)
    modules = (("node.dll", code, sim_vbs.AUTHOR),)
    report = host.report(report_data, unique_id=code, modules=modules)
    return host.evidence(report_data, report_data, report=report)


# ── keys in a file ───────────────────────────────────────────────────────────────────────────────

_MAKERS: Final[Mapping[str, Callable[[int], Machine]]] = {
    SGX: _make_sgx,
    snp.KIND: _make_snp,
    vbs.KIND: _make_vbs,
}
_QUOTES: Final[Mapping[str, Callable[[Mapping[str, bytes], bytes, bytes, bytes], bytes]]] = {
    SGX: _quote_sgx,
    snp.KIND: _quote_snp,
    vbs.KIND: _quote_vbs,
}


def _with_certificates(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}{part}" for name in names for part in ("-key", "-certificate"))


_PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    SGX: ("attestation-key", *_with_certificates("root", "ca", "pck")),
    snp.KIND: ("chip-id", *_with_certificates("ark", "ask", "leaf")),
    vbs.KIND: ("registers", "log", "secure-kernel", *_with_certificates("ak")),
}


def _issued_parts(name: str, key: Any, certificate: x509.Certificate) -> dict[str, bytes]:
    return {f"{name}-key": _key_bytes(key), f"{name}-certificate": certificate.public_bytes(Encoding.DER)}


def _key_bytes(key: Any) -> bytes:
    data: bytes = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return data


def _issued(keys: Mapping[str, bytes], name: str) -> Issued:
    key = cast("rsa.RSAPrivateKey", _key(keys[f"{name}-key"]))
    return Issued(certificate=x509.load_der_x509_certificate(keys[f"{name}-certificate"]), key=key)


def _signer(keys: Mapping[str, bytes], name: str) -> Signer:
    return Signer(
        key=_elliptic(keys[f"{name}-key"]),
        certificate=x509.load_der_x509_certificate(keys[f"{name}-certificate"]),
    )


def _key(data: bytes) -> Any:
    # Whether an RSA key is one takes half a second to find out, each time: these were made by us.
    return load_der_private_key(data, None, unsafe_skip_rsa_key_validation=True)


def _elliptic(data: bytes) -> ec.EllipticCurvePrivateKey:
    return cast("ec.EllipticCurvePrivateKey", _key(data))
