"""What needs torch: attention, prediction, training, evaluation. This package alone imports no torch."""
