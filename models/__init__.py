"""Who answers: settings by role, chat models, structured output, retries, budgets, local servers.

`caller` is the one way to a model: text, first usable reply, call, request with retries. What a reply says is read by
`endings`, `reasoning`, `scan`, `texts` and `structured`. `factory` makes chat models of settings.
"""
