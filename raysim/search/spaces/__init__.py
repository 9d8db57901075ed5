"""Search spaces: the files that declare them, their checks, and the parameters that they reach."""
