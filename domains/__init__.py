"""What an example is and when it counts: domains, task types, acceptance policies."""
