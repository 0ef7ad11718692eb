"""What needs torch: attention, prediction, training, evaluation. Importing this package alone imports no torch."""
