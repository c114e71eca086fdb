"""What is written in the weights: singular values, and what a task loses with low rank."""
