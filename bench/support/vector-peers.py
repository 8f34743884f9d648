"""Vector databases that users know, with the vectors of `vectors.ts`: each with its defaults, embedded in this process, on disk where it has one.

    python vector-peers.py NAME FOLDER DIMENSIONS WANTED WARM_UP

FOLDER has `vectors.f32` and `questions.f32`: 32-bit floats, one vector after the other. What is printed at the end is one line of JSON: the seconds that filling took, and
of each question after the first WARM_UP ones the milliseconds, and the numbers of the nearest.
"""

import json
import sys
import time
from pathlib import Path

import numpy

BATCH = 5000


def open_chroma(folder, vectors):
    import chromadb
    from chromadb.config import Settings

    client = chromadb.PersistentClient(path=str(folder / "chroma"), settings=Settings(anonymized_telemetry=False))
    collection = client.create_collection("bench", configuration={"hnsw": {"space": "cosine"}})
    for first in range(0, len(vectors), BATCH):
        some = vectors[first : first + BATCH]
        collection.add(ids=[str(first + at) for at in range(len(some))], embeddings=some)

    def search(question, wanted):
        found = collection.query(query_embeddings=question.reshape(1, -1), n_results=wanted, include=[])
        return [int(number) for number in found["ids"][0]]

    return search


def open_lancedb(folder, vectors, is_indexed):
    import lancedb
    import pyarrow

    dimensions = vectors.shape[1]
    column = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(vectors.reshape(-1)), dimensions)
    table = pyarrow.table({"id": pyarrow.array(range(len(vectors)), pyarrow.int32()), "vector": column})
    stored = lancedb.connect(folder / f"lancedb-{is_indexed}").create_table("bench", table)
    if is_indexed:
        stored.create_index(metric="cosine")

    def search(question, wanted):
        query = stored.search(question).distance_type("cosine").select(["id", "_distance"]).limit(wanted)
        return query.to_arrow()["id"].to_pylist()

    return search


def open_faiss(vectors):
    import faiss

    # Vectors are of length one.
    index = faiss.IndexHNSWFlat(vectors.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    index.add(vectors)

    def search(question, wanted):
        return index.search(question.reshape(1, -1), wanted)[1][0].tolist()

    return search


def main():
    name, folder, dimensions, wanted, warm_up = sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:6])
    vectors, questions = (
        numpy.fromfile(folder / file, dtype=numpy.float32).reshape(-1, dimensions)
        for file in ("vectors.f32", "questions.f32")
    )
    began = time.perf_counter()
    if name == "chroma":
        search = open_chroma(folder, vectors)
    elif name == "faiss":
        search = open_faiss(vectors)
    else:
        search = open_lancedb(folder, vectors, name == "lancedb-index")
    seconds = time.perf_counter() - began
    times, numbers = [], []
    for at, question in enumerate(questions):
        began = time.perf_counter()
        found = search(question, wanted)
        if at >= warm_up:
            times.append((time.perf_counter() - began) * 1000)
            numbers.append(found)
    print(json.dumps({"seconds": seconds, "times": times, "numbers": numbers}))


main()
