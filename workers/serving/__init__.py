"""Sizing an LLM server from a trace of its requests: KV cache memory, and continuous batching simulated.

`kv_cache.plan_kv_cache` and `tuning.tune` are the ways in; docs/agents/performance.md says what each figure
means.
"""
