"""One module a fast kernel: for which layers it is, and how their weights are packed for it."""
