"""The first layers of a network in bands of rows, so that their tensors are never there whole."""
