"""The only door to the network: `pool.Pool` for calls in a loop, `blocking.session` for rare
calls that may wait, both behind the same `guard.Guard`. docs/outgoing-calls.md: what it promises.
"""
