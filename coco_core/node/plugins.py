"""Find adapter plugins, load exactly the enabled ones; the only plugin manager in the system.

*Installed is not enabled*: discovery reads package metadata only; a plugin's code is imported when
somebody names it (or lists them all).
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from coco_core.adapter import API, ENTRY_POINT_GROUP, PROJECT, AdapterPlugin, coco_register_adapters
from coco_core.errors import OperatorError


class _Hooks:
    coco_register_adapters = staticmethod(coco_register_adapters)


def installed() -> dict[str, EntryPoint]:
    """Return the installed adapters by name, without importing them."""
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def load(name: str) -> AdapterPlugin:
    """Import and return one adapter plugin; raises OperatorError when it is absent or unusable."""
    points = installed()
    if name not in points:
        known = ", ".join(sorted(points)) or "none"
        raise OperatorError(f"no adapter {name!r} is installed (installed: {known})")
    owners = sorted(
        {point.dist.name for point in entry_points(group=ENTRY_POINT_GROUP, name=name) if point.dist}
    )
    if len(owners) > 1:
        raise OperatorError(f"{' and '.join(owners)} each bring an adapter {name!r}: uninstall all but one")
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(_Hooks)
    try:
        module: Any = points[name].load()
    except (ImportError, AttributeError) as error:
        raise OperatorError(f"adapter {name!r} cannot be imported: {error}") from error
    found: dict[str, AdapterPlugin] = {}
    try:
        manager.register(module)
        manager.check_pending()
        manager.hook.coco_register_adapters(register=lambda plugin: found.setdefault(plugin.name, plugin))
    except (pluggy.PluginValidationError, AttributeError, TypeError) as error:
        raise OperatorError(f"adapter {name!r} does not register as it should: {error}") from error
    if name not in found:
        raise OperatorError(f"distribution of entry point {name!r} registers no adapter of that name")
    plugin = found[name]
    if plugin.api != API:
        raise OperatorError(
            f"adapter {name!r} is made for contract version {plugin.api}, this framework has {API}"
        )
    return plugin
