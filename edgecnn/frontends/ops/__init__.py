"""One module an operator: how each front end spells it."""
