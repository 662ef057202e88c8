"""Find adapters and platforms, load exactly those that are named; the only loader of what a node runs.

*Installed is not enabled*: discovery reads package metadata only; a plugin's code is imported when
somebody names it (or lists them all).
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from coco_core.adapter import API, ENTRY_POINT_GROUP, PROJECT, AdapterPlugin, coco_register_adapters
from coco_core.attestation import (
    PLATFORMS_ENTRY_POINT_GROUP,
    Platform,
    PlatformPlugin,
    VirtualPlatform,
    coco_register_platforms,
)
from coco_core.base import bound_recursion
from coco_core.errors import OperatorError
from coco_core.node.measure import code_measurement
from coco_core.node.platform_settings import VIRTUAL, PlatformSettings


class _Hooks:
    coco_register_adapters = staticmethod(coco_register_adapters)
    coco_register_platforms = staticmethod(coco_register_platforms)


def installed() -> dict[str, EntryPoint]:
    """Return the installed adapters by name, without importing them."""
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def load(name: str) -> AdapterPlugin:
    """Import and return one adapter plugin; raises OperatorError when it is absent or unusable."""
    plugin: AdapterPlugin = _load("adapter", ENTRY_POINT_GROUP, name)
    if plugin.api != API:
        raise OperatorError(
            f"adapter {name!r} is made for contract version {plugin.api}, this framework has {API}"
        )
    return plugin


def load_platform(settings: PlatformSettings) -> Platform:
    """Return the platform that settings name; raises OperatorError when it is absent, or not this machine."""
    if settings.name == VIRTUAL:
        return VirtualPlatform(settings.options.get("measurement") or code_measurement())
    plugin: PlatformPlugin = _load("platform", PLATFORMS_ENTRY_POINT_GROUP, settings.name)
    unknown = sorted(settings.options.keys() - plugin.options)
    if unknown:
        known = ", ".join(sorted(plugin.options)) or "none"
        raise OperatorError(f"platform {plugin.name!r} has no option {unknown[0]!r} (it has: {known})")
    platform: Platform = plugin.create(settings.hand_out())
    bound_recursion()
    return platform


def _load(kind: str, group: str, name: str) -> Any:
    """Import the one plugin of that name and return what it registers under it; raises OperatorError."""
    points = {point.name: point for point in entry_points(group=group)}
    if name not in points:
        known = ", ".join(sorted(points)) or "none"
        raise OperatorError(f"no {kind} {name!r} is installed (installed: {known})")
    owners = sorted({point.dist.name for point in entry_points(group=group, name=name) if point.dist})
    if len(owners) > 1:
        raise OperatorError(f"{' and '.join(owners)} each bring {kind} {name!r}: uninstall all but one")
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(_Hooks)
    try:
        module: Any = points[name].load()
    except (ImportError, AttributeError) as error:
        raise OperatorError(f"{kind} {name!r} cannot be imported: {error}") from error
    found: dict[str, Any] = {}
    try:
        manager.register(module)
        manager.check_pending()
        hook = getattr(manager.hook, f"coco_register_{kind}s")
        hook(register=lambda plugin: found.setdefault(plugin.name, plugin))
    except (pluggy.PluginValidationError, AttributeError, TypeError) as error:
        raise OperatorError(f"{kind} {name!r} does not register as it should: {error}") from error
    if name not in found:
        raise OperatorError(f"distribution of entry point {name!r} registers no {kind} of that name")
    return found[name]
