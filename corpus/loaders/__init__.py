"""Documents as text: one module a family of formats; `registry` holds the formats by the suffix of their files."""
