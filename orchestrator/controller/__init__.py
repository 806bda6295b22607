"""The leader's work: record what happened, repair what was lost, publish what is due."""
