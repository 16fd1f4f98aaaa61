"""`autodata prompts`: the texts that models get: shown, compared and copied."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autodata.checkpoints.errors import UserError
from autodata.cli import values
from autodata.cli.terminal import write_data
from autodata.prompts import PromptPack, load_pack
from autodata.prompts.pack import shipped_packs
from autodata.prompts.patch import write_pack

prompts = typer.Typer(
    help="Show, compare and copy the prompts of domains.\n\nExample: autodata prompts show cs challenger",
    no_args_is_help=True,
)

OTHER_PACKS = ("optimizer", "dataset")
"""Shipped packs that are no domain's: the optimiser's, and that of the loop over batches."""

Source = Annotated[
    str,
    typer.Argument(
        metavar="DOMAIN",
        help="A shipped domain, or the folder of one of your own, or: optimizer.",
        autocompletion=values.packs,
    ),
]


@prompts.command("show")
def show(
    domain: Source,
    role: Annotated[str, typer.Argument(metavar="[ROLE]", help="One role's prompt alone.", show_default=False)] = "",
) -> None:
    """Print the prompts of a domain, or of one role of it, as they stand in their files.

    Example: autodata prompts show cs challenger
    """
    pack = find_pack(domain)
    if role:
        if role not in pack.prompts:
            raise UserError(f"{domain}: no prompt for {role!r}: it has {', '.join(pack.prompts)}")
        write_data(pack[role].text)
        return
    for name, prompt in pack.prompts.items():
        write_data(f"==> {name}.md, version {prompt.version} <==\n{prompt.text}\n")


@prompts.command("diff")
def diff(
    before: Annotated[
        str, typer.Argument(metavar="A", help="A shipped domain, or a folder.", autocompletion=values.packs)
    ],
    after: Annotated[str, typer.Argument(metavar="B", help="Another one.", autocompletion=values.packs)],
) -> None:
    """Print the unified diff that turns the prompts of A into those of B; nothing when they are the same.

    Example: autodata prompts diff cs facts
    """
    write_data(find_pack(before).diff(find_pack(after)))


@prompts.command("export")
def export(
    domain: Source, folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write to.")]
) -> None:
    """Copy the prompts of a domain into a folder, one file per role. Files that are there stay as they are.

    Example: autodata prompts export cs my-prompts
    """
    pack = find_pack(domain)
    write_pack(pack, folder)
    typer.echo(f"{len(pack.prompts)} prompts written to {folder}", err=True)


def find_pack(name_or_path: str) -> PromptPack:
    """Return a shipped pack by its name, or the one of a folder. Raises UserError when there is none."""
    shipped = {*shipped_packs(), *OTHER_PACKS}
    return load_pack(name_or_path if name_or_path in shipped else Path(name_or_path).expanduser())
