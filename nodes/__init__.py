"""One file per role: small async functions from state to update; domains, acceptance policies, rubric arithmetic."""
