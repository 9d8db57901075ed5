"""Methods that train whole networks."""
