"""Files that go into an export as they stand: they run beside a trainer, on the standard library alone."""
