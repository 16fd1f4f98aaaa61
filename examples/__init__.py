"""Example documents, written for this project: something to run on before you bring your own.

General facts in the documents are true; each document says at its start which case study in it is invented.
"""

from pathlib import Path


def documents_folder() -> Path:
    """Return the installed folder that holds the example documents, one Markdown file each."""
    return Path(__file__).resolve().parent / "documents"
