"""Strong lenses: fields, candidates, detectors, scores, search, figure 6 (paper IV.B)."""
