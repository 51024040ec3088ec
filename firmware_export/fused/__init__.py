"""One module a kernel of several operators: which layers it is for, and how it is called."""
