"""An agent of a user, from a folder whose packages are called like ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.stack import LocalStack

if TYPE_CHECKING:
    from pathlib import Path

AGENT = """\
from config import settings
from orchestrator import Agent
from api import price
import tests
agent = Agent("shop")

@agent.task("quote")
def quote(task, parameters):
    return {"price": price(parameters["pieces"]), "currency": settings.CURRENCY, "tests": tests.WHOSE}
"""
PACKAGES = {
    "config/__init__.py": "",
    "config/settings.py": "CURRENCY = 'EUR'",
    "api/__init__.py": "def price(pieces): return 3 * pieces",
    "workers/__init__.py": "",
    "workers/shop.py": AGENT,
    "tests/__init__.py": "WHOSE = 'the shop'",
    "sitecustomize_of_nobody.py": "",
}


def test_agent_runs_from_a_folder_with_packages_named_like_ours(tmp_path: Path) -> None:
    for name, text in PACKAGES.items():
        file = tmp_path / "shop" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    stack = LocalStack(
        tmp_path / "data", agents="workers.shop:agent,workers.shop:agent", cwd=tmp_path / "shop"
    )

    with stack, stack.client() as client:
        task = client.submit("shop", "quote", {"pieces": 4}).wait(timeout_seconds=30)
        names = set(stack.processes)

    assert task.result == {"price": 12, "currency": "EUR", "tests": "the shop"}
    assert names == {"redis", "postgres", "api", "controller", "shop-1", "shop-2"}
