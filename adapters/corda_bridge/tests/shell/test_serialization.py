"""The client's library serialises what Corda does by itself, and what a CorDapp's own serializers do."""

from __future__ import annotations

from pathlib import Path

import pytest

from coco_corda.shell.java import run_java
from coco_corda.shell.launching import find_java

LIBRARY = Path(__file__).resolve().parents[2] / "jvm" / "acceptance" / "target" / "lib"
PROGRAM = """
import coco.corda.client.Draft;
import coco.corda.client.Serialization;
import coco.corda.internal.Corda;
import net.corda.core.contracts.UniqueIdentifier;
import net.corda.core.serialization.SerializationCustomSerializer;

public class Program {
    public static final class Price {
        final long pence;
        private Price(long pence) { this.pence = pence; }
    }

    /** By way of a class of Corda's own. */
    public static class Prices implements SerializationCustomSerializer<Price, UniqueIdentifier> {
        @Override
        public UniqueIdentifier toProxy(Price price) {
            return new UniqueIdentifier("" + price.pence);
        }

        @Override
        public Price fromProxy(UniqueIdentifier proxy) {
            return new Price(Long.parseLong(proxy.getExternalId()));
        }
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("late")) {
            new Draft(null, null);
        }
        try {
            Serialization.start(new Prices());
            System.out.print(Corda.deserialize(Corda.serialize(new Price(42)), Price.class).pence);
        } catch (IllegalStateException late) {
            System.out.print(late.getMessage());
        }
    }
}
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    if find_java(None) is None or not LIBRARY.is_dir():
        pytest.skip("no client's library here: make jvm (needs a JDK 17 and Maven)")
    source = tmp_path / "Program.java"
    source.write_text(PROGRAM)
    return source


def run(program: Path, when: str) -> str:
    java = find_java(None)
    assert java is not None
    return run_java(java, LIBRARY, program, [when])


def test_serializers_that_are_said_first_are_used(program: Path) -> None:
    assert run(program, "first") == "42"


def test_serializers_that_are_said_late_are_refused(program: Path) -> None:
    assert "say what it has to know first" in run(program, "late")
