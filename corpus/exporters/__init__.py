"""Accepted examples as files: one module a format; `registry` holds the formats, `files` writes a file whole."""
