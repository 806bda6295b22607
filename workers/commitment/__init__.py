"""Which commitment to steady usage costs least, and what the present ones are worth.

`plan.plan_commitments` and `plan.plan_commitment` are the ways in; docs/agents/cost.md says what each
figure means.
"""
