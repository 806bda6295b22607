"""What a task is: ids, statuses, routing, retry. Pure code, no vendor."""
