"""Which instances are larger or smaller than their load needs, and the next size that fits.

`plan.plan_sizes` is the way in; docs/agents/cost.md says what each figure means.
"""
