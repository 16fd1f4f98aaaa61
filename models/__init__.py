"""Who answers: settings by role, chat models, structured output, retries, budgets, local servers."""
