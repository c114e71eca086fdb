"""Images and spectra of the same galaxies: alignment, estimates from either and from both."""
