"""The command line: `main` finds the verb that was typed, each verb is a module of its own name. Does none of the work itself."""
