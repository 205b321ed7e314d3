"""Clusters: k-means on the embeddings."""

import faiss
import numpy as np


def kmeans(vectors, count, seed):
    """(cluster of every vector i32, centroids [count, d] f32); best of five starts."""
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    model = faiss.Kmeans(vectors.shape[1], count, niter=50, nredo=5, seed=seed, verbose=False)
    model.train(vectors)
    _, nearest = model.index.search(vectors, 1)
    return nearest[:, 0].astype(np.int32), model.centroids.astype(np.float32)
