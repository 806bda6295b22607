"""Settings, logging and the commands of the servers."""
