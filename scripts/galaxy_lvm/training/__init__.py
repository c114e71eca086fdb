"""Training: the loop, what feeds it, augmentation, pretraining, plain networks (paper II.B)."""
