"""A catalogue of wrong adapters, by which the conformance kit itself is tried."""

from coco_core.testing.conformance.wrong import again, meaning, results, surroundings
from coco_core.testing.conformance.wrong.catalogue import CATALOGUE, Wrong, WrongHarness

__all__ = ["CATALOGUE", "Wrong", "WrongHarness", "again", "meaning", "results", "surroundings"]
