"""Task types: how one shape of example is written, checked and scored. `base` holds the Protocol, one file a type."""
