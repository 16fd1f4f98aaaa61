"""The command line: one file a command, put together in `app`, and what they draw with.

`terminal` holds the parameters and the console that commands share. A command reads its arguments and shows results;
the work itself is done below, in `jobs`, `runner` and `corpus`. Nothing is imported here, so that a command loads only
what it needs.
"""
