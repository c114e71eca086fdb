"""Two kinds of spectra of the same stars: one space for both, translation, search, anomalies."""
