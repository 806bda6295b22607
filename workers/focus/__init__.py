"""Cost analysis of FOCUS 1.0 billing data: two passes over a stream, exact decimals, bounded results.

`analysis.analyze` is the way in; docs/COST_ANALYSIS.md says what each figure means.
"""
