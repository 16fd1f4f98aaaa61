"""The words: one Markdown file per role and domain, their loader, and the fences around text from outside."""

from autodata.prompts.fence import fence
from autodata.prompts.pack import Prompt, PromptPack, load_pack

__all__ = ["Prompt", "PromptPack", "fence", "load_pack"]
