"""The digital twin of a deployment: queue, batching, replicas, memory, quality and cost.

Pure JAX; rehearses candidate actions before they may touch the real deployment.
"""
