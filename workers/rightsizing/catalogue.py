"""Instance sizes, their CPUs and their memory; the shipped ones hold no prices.

Source: the specification pages of Amazon EC2 instance types (vCPUs and GiB of memory), 2024. Burstable types
are left out: what they may use for long is a baseline below their vCPUs, which utilisation in percent of the
vCPUs does not show.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

_VCPUS = {"medium": 1, "large": 2, "xlarge": 4}
"""Sizes named after a number n, as nxlarge, have 4 n."""
_FIFTH = "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"
_FIFTH_COMPUTE = "large xlarge 2xlarge 4xlarge 9xlarge 12xlarge 18xlarge 24xlarge"
_SIXTH_INTEL = f"{_FIFTH} 32xlarge"
_SIXTH_ARM = "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"
_FAMILIES = {
    "c5": (2, _FIFTH_COMPUTE),
    "c6i": (2, _SIXTH_INTEL),
    "c6g": (2, _SIXTH_ARM),
    "m5": (4, _FIFTH),
    "m6i": (4, _SIXTH_INTEL),
    "m6g": (4, _SIXTH_ARM),
    "r5": (8, _FIFTH),
    "r6i": (8, _SIXTH_INTEL),
    "r6g": (8, _SIXTH_ARM),
}
"""Family: GiB of memory per vCPU, and its sizes."""


@dataclass(frozen=True, slots=True)
class Size:
    """What an instance of a size has. Only ratios between sizes matter, so any unit will do."""

    name: str
    family: str
    cpu: Decimal
    memory: Decimal | None = None
    """None where the catalogue does not say."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Sizes by name; `ladder` orders those of a family from small to large."""

    sizes: dict[str, Size]
    is_shipped: bool = False
    _ladders: dict[str, list[Size]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for size in self.sizes.values():
            self._ladders.setdefault(size.family, []).append(size)
        for ladder in self._ladders.values():
            ladder.sort(key=lambda size: (size.cpu, size.memory or Decimal(0), size.name))

    def ladder(self, size: Size) -> list[Size]:
        """Return the sizes of the same family by CPU, then memory, then name."""
        return self._ladders[size.family]

    def near(self, name: str) -> list[str]:
        """Return known names like a name that is unknown."""
        return difflib.get_close_matches(name, self.sizes, n=3)


def shipped_catalogue() -> Catalogue:
    """Return the catalogue that comes with the agent."""
    sizes = {}
    for family, (memory_per_cpu, names) in _FAMILIES.items():
        for name in names.split():
            cpus = _VCPUS.get(name) or 4 * int(name.removesuffix("xlarge"))
            full = f"{family}.{name}"
            sizes[full] = Size(full, family, Decimal(cpus), Decimal(cpus * memory_per_cpu))
    return Catalogue(sizes, is_shipped=True)


def family_of(name: str) -> str:
    """Return what stands before the last point of a size's name; without a point, the one nameless family."""
    return name.rpartition(".")[0]


def given_catalogue(entries: list[dict[str, Any]]) -> Catalogue:
    """Return the catalogue of a request: `size`, `family` (default: see family_of), `cpu`, `memory`."""
    sizes = {}
    for entry in entries:
        name = entry["size"]
        family = family_of(name) if entry["family"] is None else entry["family"]
        sizes[name] = Size(name, family, entry["cpu"], entry["memory"])
    return Catalogue(sizes)
