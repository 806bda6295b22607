"""Cost analysis of FOCUS 1.0 billing data: two passes over a stream, exact decimals, bounded results.

`analysis.analyze` is the way in; docs/agents/cost_analysis.md says what each figure means.
"""
