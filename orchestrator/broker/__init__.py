"""Redis: what is in motion. Scripts that fence, the registry of agents, and the event stream."""
