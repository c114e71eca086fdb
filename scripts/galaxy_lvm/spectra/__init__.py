"""Spectra of stars: simulated and imported, stellar parameters from them."""
