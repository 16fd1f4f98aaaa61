"""Things that several kinds of tests share."""
