"""Classification from few labels: subsets, protocol, scores, figure 5 (paper IV.A)."""
