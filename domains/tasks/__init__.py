"""Task types: how one shape of example is written, checked and scored.

`base` holds the Protocol, `registry` the types by name, and there is one file a type: `rubric`, `reference`, `legal`,
`verifiable`, and `plugin` for one that a user wrote. What they decide by code is in `maths`, `quantities`, `grounding`,
`same_fact`, `answers` and `questions`.
"""
