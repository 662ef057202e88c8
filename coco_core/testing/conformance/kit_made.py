"""Standard tests of what an adapter says of itself and how it begins: manifest, plugin, settings, genesis."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any, Final

from coco_core.adapter import API
from coco_core.base import limits
from coco_core.errors import AdapterError, OperatorError
from coco_core.replica.checking import check_genesis, check_manifest
from coco_core.testing.conformance.kit_base import KitBase
from coco_core.testing.conformance.marking import Nonconformity, expect, standard
from coco_core.testing.conformance.notes import Notes
from coco_core.testing.conformance.watching import Watched

_NONSENSE: Final = "no-such-thing"
_ODD_VALUES: Final[tuple[Any, ...]] = (
    None,
    -1,
    2**70,
    1.5,
    "nonsense",
    ["nonsense"],
    {"nonsense": None},
    True,
)


def refusal(what: str, call: Callable[[], object]) -> str:
    """Return what an OperatorError says; raises Nonconformity for anything else."""
    try:
        call()
    except OperatorError as error:
        return str(error)
    except Exception as error:
        raise Nonconformity(
            f"{what} raised {error!r:.300}; it is the operator's fault: OperatorError"
        ) from error
    raise Nonconformity(f"{what} was accepted; it must raise OperatorError")


class MadeTests(KitBase):
    """An adapter is what it says, and begins only with what it can go on with."""

    @standard
    async def test_manifest_is_sound(self) -> None:
        """The manifest is for this contract, names maps of its own, and is the same on every node.

        Why: it is recorded in the ledger; a node whose adapter says something else cannot take part.

        Mend: name the ledger with a lower-case word and each map ``<name>.…`` or ``public:<name>.…``; let
        nothing in the manifest depend on the machine.
        """
        one, other = self.harness.make(), self.harness.make()
        expect(one is not other, "make() returned the same adapter twice: each node has its own")
        try:
            check_manifest(self.harness.name, one.manifest)
        except AdapterError as error:
            raise Nonconformity(f"the manifest is not sound: {error}") from error
        expect(one.manifest == other.manifest, "two adapters made alike have different manifests")
        expect(type(one.manifest.deterministic) is bool, "manifest.deterministic is neither True nor False")

    @standard
    async def test_plugin_says_what_is_installed(self) -> None:
        """The registered plugin has the adapter's name, this contract's version and engines it can list.

        Why: ``coco adapters list`` and genesis know the adapter by what the plugin says.

        Mend: return what is missing as ``EngineInfo.unavailable`` instead of raising, and create what the
        manifest describes.
        """
        plugin = self.harness.plugin()
        expect(plugin.name == self.harness.name, f"the plugin is called {plugin.name!r}")
        expect(plugin.api == API, f"the plugin is for contract {plugin.api}, this framework has {API}")
        expect(plugin.version and type(plugin.version) is str, "the plugin has no version")
        try:
            engines = list(plugin.engines())
        except Exception as error:
            raise Nonconformity(f"engines() raised {error!r:.300}") from error
        made = plugin.create("", {}).manifest
        expect(made.name == plugin.name, f"it creates an adapter called {made.name!r}")
        named = made.engine.split(" ")[0]
        usable = [engine.name for engine in engines if not engine.unavailable]
        expect(not named or named in usable, f"it executes with {named!r}, which engines() does not offer")

    @standard
    async def test_unknown_engines_and_settings_are_refused(self) -> None:
        """``create`` raises OperatorError for an engine or a setting it does not know, and names it.

        Why: a setting that is ignored is one that an operator believes in.

        Mend: compare the names of ``settings`` with those you know, and say which one is wrong.
        """
        create = self.harness.plugin().create
        for what, call in (
            ("an unknown engine", lambda: create(_NONSENSE, {})),
            ("an unknown setting", lambda: create("", {_NONSENSE: 1})),
        ):
            said = refusal(what, call)
            expect(_NONSENSE in said, f"{what} is refused without naming it: {said!r:.300}")

    @standard
    async def test_genesis_is_within_maps_and_bounds(self) -> None:
        """Genesis returns entries that may be written, of its own maps, and development's genesis is good.

        Why: a network that cannot be founded, or only with a configuration nobody has, is of no use.

        Mend: as for the writes of ``execute``; split what is too large into several entries.
        """
        adapter, notes = self.harness.make(), Notes()
        expect(Watched(adapter, notes).genesis(self.harness.genesis(), bytes(32)) is not None, "")
        expect(not notes.faults, "; ".join(f"{kind}: {text}" for kind, text in notes.faults[:5]))
        config = self.harness.plugin().development().config
        owned = frozenset(adapter.manifest.maps)
        try:
            json.dumps(config)
            check_genesis(adapter.genesis(config, bytes(32)), owned, limits.GENESIS_SIZE_MAX_BYTES)
        except (AdapterError, OperatorError, TypeError, ValueError) as error:
            raise Nonconformity(f"the genesis for development is not good: {error!r:.300}") from error

    @standard
    async def test_bad_genesis_is_refused_by_name(self) -> None:
        """Every genesis of ``bad_genesis`` raises OperatorError that names the faulty field.

        Why: whoever founds a network has one line to find the mistake by.

        Mend: check types and ranges before anything is written, field by field.
        """
        bad = self.harness.bad_genesis()
        expect(
            bad or self.harness.no_bad_genesis,
            "the harness gives no bad genesis; if an operator says nothing there, set no_bad_genesis to why",
        )
        for field, config in bad.items():
            said = refusal(f"genesis with a bad {field!r}", functools.partial(self._begin, config))
            expect(field in said, f"a bad {field!r} is refused without naming it: {said!r:.300}")

    @standard
    async def test_odd_genesis_raises_nothing_else(self) -> None:
        """A genesis with a field of another type is accepted or refused with OperatorError, nothing else.

        Why: any other exception is shown as a fault of the framework, with a traceback and no advice.

        Mend: check the type of each field; catch what the parser of your format raises.
        """
        good = dict(self.harness.genesis())
        for field in good:
            for value in _ODD_VALUES:
                try:
                    self._begin({**good, field: value})
                except OperatorError:
                    continue
                except Exception as error:
                    raise Nonconformity(f"genesis with {field!r}: {value!r} raised {error!r:.300}") from error

    def _begin(self, config: Any) -> None:
        list(self.harness.make().genesis(config, bytes(32)))
