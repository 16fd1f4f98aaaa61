"""The roles of the meta-optimiser (paper, section 6): what reads failures, edits prompts, checks and decides."""
