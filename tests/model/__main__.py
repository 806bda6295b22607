"""Search the protocol whole, with all its rules and with each one off; print the shortest counterexamples."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from tests.model.mixes import SHOWN_BY, WHOLE
from tests.model.search import search
from tests.model.world import Rules

if TYPE_CHECKING:
    from tests.model.mixes import Mix
    from tests.model.search import Finding


def main() -> int:
    """Return 1 if the protocol breaks with all rules on, or holds without one that is said to be needed."""
    sound = [_show("all rules", Rules(), mix).clean for mix in WHOLE]
    needed = []
    for rule in Rules._fields:
        without = Rules()._replace(**{rule: False})
        mixes = [SHOWN_BY[rule][0]] if rule in SHOWN_BY else WHOLE
        found = any(_show(f"without {rule}", without, mix).violations for mix in mixes)
        needed.append(found or rule not in SHOWN_BY)
    return 0 if all(sound) and all(needed) else 1


def _show(what: str, rules: Rules, mix: Mix) -> Finding:
    began = time.monotonic()
    finding = search(rules, mix.faults, reconcilers=mix.reconcilers, limit=mix.limit)
    cut = "" if finding.complete else " (cut short)"
    verdict = ", ".join(sorted(finding.violations)) or "no counterexample"
    took = time.monotonic() - began
    sys.stdout.write(f"{what}, {mix.name}: {finding.states:,} states{cut}, {took:.0f} s: {verdict}\n")
    for name, trace in sorted(finding.violations.items()):
        sys.stdout.write(f"  {name}: " + "\n      → ".join(trace) + "\n")
    sys.stdout.flush()
    return finding


if __name__ == "__main__":
    sys.exit(main())
