"""Forecasts of utilisation or request series, and the instance counts that follow from them.

`prediction.predict` is the way in; docs/agents/resource.md says what each figure means.
"""
