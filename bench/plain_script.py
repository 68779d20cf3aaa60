"""The whole job as people write it by hand: Pillow, ONNX Runtime, scikit-learn, pyarrow.

python plain_script.py LIST MODEL.onnx OUTPUT THREADS COMPONENTS
"""

import os
import sys

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from sklearn.decomposition import PCA

BATCH = 32


def load(path):
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB").resize((224, 224), Image.BICUBIC), dtype=np.float32)
    return (pixels.transpose(2, 0, 1) - 127) / 128


def main(list_file, model, output, threads, components):
    paths = open(list_file).read().split("\n")[:-1]
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    vectors = []
    for first in range(0, len(paths), BATCH):
        batch = np.stack([load(path) for path in paths[first : first + BATCH]])
        vectors.append(session.run(None, {name: batch})[0].reshape(len(batch), -1))
    vectors = np.concatenate(vectors)
    components = float(components) if "." in components else int(components)
    scores = PCA(components, svd_solver="full").fit_transform(vectors).astype(np.float32)
    labels = [os.path.basename(os.path.dirname(path)) for path in paths]
    table = pa.table({"path": paths, "label": labels, "features": list(vectors), "pca": list(scores)})
    pq.write_table(table, output)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
