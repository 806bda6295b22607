from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import psycopg2
import pytest
from psycopg2 import errors as driver

from orchestrator.errors import (
    LedgerConflictError,
    LedgerDataError,
    LedgerUnavailableError,
    SchemaMismatchError,
)
from orchestrator.ledger.deadline import DeadlinePassedError
from orchestrator.ledger.failures import translate_error

if TYPE_CHECKING:
    from orchestrator.errors import (
        OrchestratorError,
    )


class _Coded(psycopg2.DatabaseError):
    def __init__(self, code: str) -> None:
        super().__init__(f"code {code}\nDETAIL:  the value")
        self.code = code

    @property
    def pgcode(self) -> str:
        return self.code


def _translate(error: BaseException, *, connected: bool = True) -> OrchestratorError | None:
    context = SimpleNamespace(
        original_exception=error,
        connection=object() if connected else None,
        is_disconnect=False,
        invalidate_pool_on_disconnect=True,
    )
    return translate_error(cast("Any", context))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("40001", LedgerConflictError),
        ("40P01", LedgerConflictError),
        ("55P03", LedgerConflictError),
        ("57014", LedgerUnavailableError),
        ("57P01", LedgerUnavailableError),
        ("57P03", LedgerUnavailableError),
        ("08006", LedgerUnavailableError),
        ("53300", LedgerUnavailableError),
        ("53100", LedgerUnavailableError),
        ("25006", LedgerUnavailableError),
        ("25P03", LedgerUnavailableError),
        ("58030", LedgerUnavailableError),
        ("22P02", LedgerDataError),
        ("22P05", LedgerDataError),
        ("23505", LedgerDataError),
        ("23514", LedgerDataError),
        ("54000", LedgerDataError),
        ("42P01", SchemaMismatchError),
        ("42703", SchemaMismatchError),
    ],
)
def test_a_code_says_who_must_act(code: str, kind: type[OrchestratorError]) -> None:
    error = _translate(_Coded(code))
    assert type(error) is kind
    assert "the value" not in str(error)


@pytest.mark.parametrize("code", ["42601", "25P02", "XX000"])
def test_a_mistake_of_ours_passes_as_it_is(code: str) -> None:
    assert _translate(_Coded(code)) is None


def test_a_cut_connection_has_no_code_and_is_unavailable() -> None:
    assert (
        type(_translate(psycopg2.OperationalError("server closed the connection"))) is LedgerUnavailableError
    )
    assert type(_translate(psycopg2.InterfaceError("connection already closed"))) is LedgerUnavailableError
    assert str(_translate(psycopg2.OperationalError())) == "OperationalError"


def test_a_value_that_the_driver_refuses_is_data_only_inside_a_statement() -> None:
    assert type(_translate(ValueError("NUL"))) is LedgerDataError
    assert _translate(ValueError("a mistake in a URL"), connected=False) is None
    assert _translate(TypeError()) is None


def test_what_is_translated_is_not_translated_again() -> None:
    assert _translate(LedgerUnavailableError("away")) is None


def test_a_passed_deadline_throws_away_its_own_connection_only() -> None:
    context = SimpleNamespace(
        original_exception=DeadlinePassedError("late"),
        connection=object(),
        is_disconnect=False,
        invalidate_pool_on_disconnect=True,
    )
    assert type(translate_error(cast("Any", context))) is LedgerUnavailableError
    assert (context.is_disconnect, context.invalidate_pool_on_disconnect) == (True, False)


def test_the_drivers_own_classes_agree_with_the_codes() -> None:
    assert issubclass(driver.lookup("57014"), psycopg2.OperationalError)
