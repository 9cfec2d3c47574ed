"""`scripts/mutate`: the service broken in many places, one at a time. `cli` runs it, `mutants` chooses them."""
