"""What the features are good for beside classification: parameters, oddities, neighbours, maps."""
