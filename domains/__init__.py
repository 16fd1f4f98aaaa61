"""What an example is and when it counts: domains, task types, acceptance policies.

A `Domain` (`domain`) is one value: a task type of `tasks`, a policy of `acceptance`, numbers, and a prompt pack.
`loader` finds the shipped ones by name and reads those of a folder.
"""
