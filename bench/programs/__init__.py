"""Programs that are measured beside the engine, each run by its path in a process of its own."""
