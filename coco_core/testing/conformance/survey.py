"""One run of an adapter through everything a single node may ask of it, for many tests to read."""

from __future__ import annotations

from typing import Any, Final

import attrs
import trio

from coco_core.adapter import BundlePart, Manifest, encode_bundle
from coco_core.adapter.bundles import BUNDLES
from coco_core.base import limits
from coco_core.testing.conformance.harness import LedgerHarness
from coco_core.testing.conformance.notes import Notes
from coco_core.testing.conformance.pipeline import Pipeline
from coco_core.testing.conformance.serving import BESIDE
from coco_core.testing.conformance.watching import Watched
from coco_core.testing.tally import add

_VALID_IN_FULL_BATCH: Final = 40


@attrs.frozen
class Survey:
    """What was noted of an adapter on a single node."""

    notes: Notes
    manifest: Manifest


async def take_survey(harness: LedgerHarness) -> Survey:
    """Let an adapter execute all kinds of requests on a network of one node, and note what it does."""
    notes = Notes()
    async with Pipeline.open(harness, 1, notes=notes, beside=True) as pipeline:
        await _everyday(pipeline, harness)
        await _bundled(pipeline, harness)
        await _large(pipeline, harness)
        await _configured(pipeline, harness)
        await pipeline.send(harness.valid(3))
        node = pipeline.cluster.primary
        other = Watched(harness.make(), notes, harness.execute_max_s)
        other.restored(pipeline.scoped(node.replica.chain.store.view()))
        await pipeline.aside(harness.valid(4), harness.rejected(1), adapter=other)
        await trio.lowlevel.checkpoint()
    return Survey(notes, node.adapter.manifest)


async def _everyday(pipeline: Pipeline, harness: LedgerHarness) -> None:
    valid, refused = harness.valid(0), [harness.rejected(0), *harness.malformed(), b""]
    await pipeline.send(*refused)
    await pipeline.send(valid, *refused, harness.valid(1), valid)
    first, second = harness.conflict(0)
    await pipeline.send(first, second)
    await pipeline.send(second)
    await pipeline.send(valid)


async def _bundled(pipeline: Pipeline, harness: LedgerHarness) -> None:
    name, valid = harness.name, harness.valid(2)
    for there in (b"nonsense", add("there", "x", 1)):
        parts = [BundlePart(name, valid), BundlePart(BESIDE, there)]
        await pipeline.send(encode_bundle(parts), to=BUNDLES)
    parts = [BundlePart(BESIDE, add("again", "x", 1)), BundlePart(name, harness.rejected(2))]
    await pipeline.send(encode_bundle(parts), to=BUNDLES)


async def _large(pipeline: Pipeline, harness: LedgerHarness) -> None:
    most = limits.PAYLOAD_SIZE_MAX_BYTES
    padded = harness.valid(5).ljust(most, b" ")[:most]
    # Parsers recurse over what is nested, and Python refuses to read numbers of so many digits.
    for payload in (bytes(most), b"\xff" * most, padded, b"[" * most, b"9" * most):
        await pipeline.send(payload)
    malformed = harness.malformed()
    payloads = []
    for number in range(limits.BATCH_REQUESTS_MAX):
        others = (harness.rejected(number % 50), malformed[number % len(malformed)])
        among = number % (limits.BATCH_REQUESTS_MAX // _VALID_IN_FULL_BATCH)
        payloads.append(others[number % 2] if among else harness.valid(100 + number // 12))
    await pipeline.send(*payloads)


async def _configured(pipeline: Pipeline, harness: LedgerHarness) -> None:
    for field in pipeline.cluster.primary.adapter.manifest.configuration:
        extremes: tuple[Any, Any] = (False, True)
        if field.kind == "integer":
            extremes = field.minimum, field.maximum
        elif field.kind == "text":
            extremes = "x" * field.minimum, "x" * min(field.maximum, limits.KIB)
        elif field.kind == "hashes":
            extremes = "", "0a" * 32
        for value in extremes:
            await pipeline.aside(harness.valid(6), configuration={field.name: value})
