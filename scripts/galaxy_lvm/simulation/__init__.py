"""The simulated sky: the embedded survey and the fields with strong lenses."""
