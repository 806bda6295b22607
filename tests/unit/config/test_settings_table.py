from __future__ import annotations

from pathlib import Path

from config.settings import known_names, markdown_table

README = (Path(__file__).parents[3] / "README.md").read_text()
BEGIN, END = "<!-- settings:begin -->\n", "<!-- settings:end -->"


def test_the_readme_shows_the_settings_that_there_are() -> None:
    shown = README.split(BEGIN)[1].split(END)[0]

    assert shown == markdown_table(), "run `python -m config.settings` and paste it into README.md"


def test_every_setting_is_in_the_table_once() -> None:
    names = [line.split("`")[1] for line in markdown_table().splitlines()[2:]]

    assert sorted(names) == sorted(known_names())
