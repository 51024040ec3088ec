"""One module an operator: its TFLite encoding and its C call."""
