"""Emulated Cortex-M boards: build an exported network for a core, run it, count its cycles."""
