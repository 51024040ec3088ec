"""One module an operator: attributes, shape rule, float meaning, lowering, integer meaning."""
