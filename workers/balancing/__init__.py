"""Items with loads on nodes with capacities: a better placement within a bound on moves.

`plan.balance` is the way in; docs/agents/resource.md says what each figure means.
"""
