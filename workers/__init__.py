"""The agents that come with the orchestrator, one module for each agent type."""
