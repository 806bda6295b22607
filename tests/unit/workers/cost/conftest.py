"""The generated month as a file of a data folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.workers.billing import write_csv
from tests.unit.workers.cost.month import MONTH_HEADER, month

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def month_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the month in `month.csv`, and with another seed in `other.csv`."""
    folder = tmp_path_factory.mktemp("billing")
    write_csv(folder / "month.csv", month(seed=1), MONTH_HEADER)
    write_csv(folder / "other.csv", month(seed=2), MONTH_HEADER)
    return folder
