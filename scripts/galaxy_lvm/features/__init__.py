"""Features of galaxies and what they are good for: parameters, oddities, neighbours, maps."""
