"""Trains what the server loads: embeddings, clusters, the micro graph and MacGNN's weights."""
