"""The command line. `options` loads at once; what carries a command out loads when the command is called."""
