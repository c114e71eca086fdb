"""Stars, galaxies and quasars in WISE cutouts: simulated sky, tiles, floors and networks."""
