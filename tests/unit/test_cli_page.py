"""docs/cli.md is what the parsers say."""

from __future__ import annotations

from autodata.cli.app import COMMANDS
from docs import commands


def test_the_page_of_commands_is_up_to_date() -> None:
    text = commands.PAGE.read_text("utf-8")
    assert text == commands.rendered(text), "type: make docs"


def test_the_page_holds_every_command_and_option() -> None:
    text = commands.PAGE.read_text("utf-8")
    for name in COMMANDS:
        assert f"### autodata {name}\n" in text
    for name, command in commands.commands():
        section = text.partition(f"### autodata {name}\n")[2].partition("\n### ")[0]
        for param in command.params:
            if param.param_type_name == "option" and "--help" not in param.opts:
                assert all(f"`{option}`" in section for option in param.opts), (name, param.opts)
