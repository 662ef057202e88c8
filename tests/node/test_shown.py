"""What a node shows: the newest certificates, to who connects from now on."""

from __future__ import annotations

import datetime
import ssl

import attrs
import pytest

from coco_core.crypto import PrivateKey, read_certificate, renewed, self_signed
from coco_core.governance import founding_writes, node_writes
from coco_core.kv import Store, View, Writes, merge
from coco_core.node import utc_now
from coco_core.node.shown import ShownCertificates
from coco_core.testing import Consortium

NOW = utc_now().replace(microsecond=0)
DAY = datetime.timedelta(days=1)


def anew(consortium: Consortium, certificate: str, start: datetime.datetime, end: datetime.datetime) -> str:
    old = read_certificate(certificate)
    return renewed(old, consortium.service.key, not_before=start, not_after=end)


def shown(consortium: Consortium, number: int = 0) -> ShownCertificates:
    one = consortium.identities[number]
    return ShownCertificates(one.node_id, one.key, one.certificate, consortium.service.certificate)


def tables(consortium: Consortium, service: str | None = None, **certificate: str) -> View:
    """Return the tables of a service of three, node 0 with another certificate if one is given."""
    store, nodes = Store(), consortium.first(3)
    writes: Writes = founding_writes(nodes.values(), service or consortium.service.certificate)
    merge(writes, node_writes([attrs.evolve(nodes[consortium.identities[0].node_id], **certificate)]))
    store.append(1, writes)
    return store.head()


def connect(server: ssl.SSLContext, client: ssl.SSLContext) -> bytes | None:
    """Return the certificate (DER) that ``server`` shows ``client``; raises ssl.SSLError for a refusal."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        server.wrap_bio(to_server, to_client, server_side=True),
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
    ]
    waiting = list(ends)
    for _ in range(10):
        for one in list(waiting):
            try:
                one.do_handshake()
                waiting.remove(one)
            except ssl.SSLWantReadError:
                continue
    assert not waiting
    return ends[1].getpeercert(binary_form=True)


def believing(certificate: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=certificate)
    return context


def test_a_renewed_certificate_is_shown_in_every_context(consortium: Consortium) -> None:
    node = shown(consortium)
    contexts = [node.frontend(), node.operators([consortium.operator])]
    client = believing(consortium.service.certificate)
    before = read_certificate(node.certificate).der
    new = anew(consortium, node.certificate, NOW - DAY, NOW + DAY)
    assert [connect(one, client) for one in contexts] == [before] * 2
    node.follow(tables(consortium, certificate=new))
    assert node.certificate == new
    assert [connect(one, client) for one in contexts] == [read_certificate(new).der] * 2
    peer = shown(consortium, 1).peers()
    as_server, as_client = node.peers()
    assert connect(as_server, peer[1]) == connect(as_server, client_of(consortium, 2))
    assert connect(peer[0], as_client) == read_certificate(consortium.identities[1].certificate).der


def client_of(consortium: Consortium, number: int) -> ssl.SSLContext:
    return shown(consortium, number).peers()[1]


def test_who_pins_any_certificate_of_the_service_goes_on(consortium: Consortium) -> None:
    node = shown(consortium)
    server = node.frontend()
    service = anew(consortium, consortium.service.certificate, NOW - DAY, NOW + DAY)
    node.follow(tables(consortium, service))
    assert node.service_certificate == service
    for pinned in (consortium.service.certificate, service):
        assert connect(server, believing(pinned))
    with pytest.raises(ssl.SSLError, match="expired"):
        connect(server, believing(anew(consortium, service, NOW - 2 * DAY, NOW - DAY)))


def test_a_node_whose_certificate_ran_out_is_refused_by_clients_only(consortium: Consortium) -> None:
    node, peer = shown(consortium), shown(consortium, 1)
    server, (as_server, as_client) = node.frontend(), node.peers()
    node.follow(tables(consortium, certificate=anew(consortium, node.certificate, NOW - 2 * DAY, NOW - DAY)))
    with pytest.raises(ssl.SSLError, match="expired"):
        connect(server, believing(consortium.service.certificate))
    assert connect(as_server, peer.peers()[1])
    assert connect(peer.peers()[0], as_client)


def test_peers_still_refuse_who_is_of_another_service(consortium: Consortium) -> None:
    stranger = shown(Consortium.of(1, first_key=7_000))
    with pytest.raises(ssl.SSLError, match="certificate"):
        connect(shown(consortium).peers()[0], stranger.peers()[1])


def test_what_is_no_renewal_is_not_followed(consortium: Consortium) -> None:
    node = shown(consortium)
    node.follow(Store().view())
    node.follow(tables(consortium, certificate=consortium.identities[1].certificate))
    assert node.certificate == consortium.identities[0].certificate
    key = PrivateKey.from_pem(consortium.identities[1].key.to_pem())
    other = self_signed(key, "Coco Service", not_before=NOW, not_after=NOW + DAY, ca=True)
    node.follow(tables(consortium, other))
    assert node.service_certificate == consortium.service.certificate
