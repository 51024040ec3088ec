"""Where each tensor lies in the arena: lifetimes, a planner, and an independent checker."""
