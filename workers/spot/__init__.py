"""Which instances could run on spot capacity, and what that would save after interruptions. Nothing is moved.

`plan.plan_spot` is the way in; docs/agents/cost.md says what each figure means.
"""
