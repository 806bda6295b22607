"""Settings out of the environment: declared where they are used, read once, refused as a whole."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints, overload

import environs

from orchestrator.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

PREFIX = "ORCHESTRATOR_"
NEAR = 0.85
"""How alike two names must be (0 to 1) for one to be taken for a slip of the other."""

SIMILAR = 0.7
"""How alike a known name must be to be worth showing beside an unknown one."""

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable: its name, what it means (with its unit), and its bounds."""

    name: str
    meaning: str
    low: float | None = None
    high: float | None = None
    secret: bool = False
    choices: tuple[str, ...] = ()


def setting(
    name: str,
    meaning: str,
    *,
    low: float | None = None,
    high: float | None = None,
    secret: bool = False,
    choices: tuple[str, ...] = (),
) -> dict[str, Setting]:
    """Return the metadata that ties a dataclass field to its environment variable."""
    return {"setting": Setting(name, meaning, low, high, secret, choices)}


def settings_of(options: type[Any]) -> list[tuple[dataclasses.Field[Any], Setting]]:
    """Return the fields of an options class that are read from the environment."""
    return [
        (item, item.metadata["setting"]) for item in dataclasses.fields(options) if "setting" in item.metadata
    ]


@overload
def read(first: type[A], /, *, environ: Mapping[str, str]) -> tuple[A]: ...
@overload
def read(first: type[A], second: type[B], /, *, environ: Mapping[str, str]) -> tuple[A, B]: ...
@overload
def read(
    first: type[A], second: type[B], third: type[C], /, *, environ: Mapping[str, str]
) -> tuple[A, B, C]: ...
@overload
def read(*classes: type[Any], environ: Mapping[str, str], also: Sequence[str] = ()) -> tuple[Any, ...]: ...
def read(*classes: type[Any], environ: Mapping[str, str], also: Sequence[str] = ()) -> tuple[Any, ...]:
    """Return an instance of each options class, read from `environ`.

    Raises SettingsError with every missing, malformed and out-of-range variable of all of them, and with the
    problems that the caller found (`also`).
    """
    problems: dict[str, str] = {}
    values = [_read_one(options, environ, problems) for options in classes]
    if problems or also:
        raise SettingsError(explain([*problems.values(), *also]))
    return tuple(options(**fields) for options, fields in zip(classes, values, strict=True))


def explain(problems: list[str]) -> str:
    """Return one message that lists every problem."""
    return "the settings are refused:\n" + "\n".join(f"  - {problem}" for problem in problems)


def unknown_names(environ: Mapping[str, str], known: Collection[str]) -> list[str]:
    """Return one problem for each name with our prefix that is none of the `known`, with the near names."""
    problems = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            near = _near(name, known, count=2, cutoff=SIMILAR)
            problems.append(
                f"{name} is not a setting" + (f"; did you mean {' or '.join(near)}?" if near else "")
            )
    return problems


def refuse_slips(environ: Mapping[str, str], *classes: type[Any]) -> None:
    """Refuse names with our prefix that nearly are a setting of these classes. Raises SettingsError."""
    own = {item.name for options in classes for _, item in settings_of(options)}
    problems = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in own:
            near = _near(name, own, count=1, cutoff=NEAR)
            if near:
                problems.append(f"{name} is not a setting; did you mean {near[0]}?")
    if problems:
        raise SettingsError(explain(problems))


def _near(name: str, known: Collection[str], *, count: int, cutoff: float) -> list[str]:
    """Return the known names most like this one; the prefix that all share is no likeness."""
    by_rest = {other.removeprefix(PREFIX): other for other in sorted(known)}
    rests = difflib.get_close_matches(name.removeprefix(PREFIX), by_rest, n=count, cutoff=cutoff)
    return [by_rest[rest] for rest in rests]


class _MappingEnv(environs.Env):
    """environs on a mapping that is handed in, where it would read os.environ."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(expand_vars=False)
        self._mapping = environ

    def _get_value(self, env_key: str, default: Any) -> Any:
        return self._mapping.get(env_key, default)


def _read_one(options: type[Any], environ: Mapping[str, str], problems: dict[str, str]) -> dict[str, Any]:
    hints = get_type_hints(options)
    values: dict[str, Any] = {}
    for item, declared in settings_of(options):
        text = environ.get(declared.name, "")
        if text == "":
            if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
                problems[declared.name] = f"{declared.name} is missing: {declared.meaning}"
            continue
        try:
            values[item.name] = _parse(declared, hints[item.name], environ)
        except environs.EnvValidationError as error:
            problems[declared.name] = f"{declared.name}: {_first(error.error_messages)}"
        except (environs.EnvError, ValueError) as error:
            problems[declared.name] = f"{declared.name}: {error}"
    return values


def _parse(declared: Setting, kind: Any, environ: Mapping[str, str]) -> Any:
    env, text = _MappingEnv(environ), str(kind)
    if "bool" in text:
        return env.bool(declared.name)
    if "int" in text or "float" in text:
        value = env.int(declared.name) if "int" in text else env.float(declared.name)
        low, high = declared.low, declared.high
        if (low is not None and value < low) or (high is not None and value > high) or value != value:  # noqa: PLR0124 - NaN
            raise ValueError(f"{value} is out of range; {_range(low, high)}")
        return value
    chosen = env.str(declared.name)
    if declared.choices and chosen not in declared.choices:
        raise ValueError(f"{chosen!r} is none of {', '.join(declared.choices)}")
    return chosen


def _first(messages: Any) -> str:
    return str(messages[0] if isinstance(messages, list) and messages else messages)


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"{low} to {high}"
