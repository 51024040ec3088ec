"""One rewrite of a graph a module; `pipeline` is the order that they run in."""
