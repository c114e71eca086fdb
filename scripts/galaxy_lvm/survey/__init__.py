"""The survey's data: sources, cutouts, crops, splits, and how they are shown."""
