"""Networks in other engines, each as a function from uint8 images (n, h, w, 3) to vectors."""

import numpy
from net_oracle import onnx_model, prepare, read_model


def onnx_bytes(path):
    """The model file as ONNX with its pooled vector as the only output, the batch free."""
    description, tensors = read_model(path)
    return description, onnx_model(description, tensors, [description["features"]["pooled"]]).SerializeToString()


def onnx_runtime(path, threads):
    import onnxruntime

    description, model = onnx_bytes(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})[0], lambda pixels: prepare(pixels, description)


def openvino(path, threads):
    import openvino as ov

    description, model = onnx_bytes(path)
    core = ov.Core()
    compiled = core.compile_model(
        core.read_model(model, b""),
        "CPU",
        {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "THROUGHPUT",
        },
    )
    requests = ov.AsyncInferQueue(compiled, threads)

    def run(x):  # one image a request, as many at once as there are threads: its fastest way on a CPU
        for i in range(len(x)):
            requests.start_async({0: x[i : i + 1]})
        requests.wait_all()

    return run, lambda pixels: prepare(pixels, description)


def vectors_of(engine, pixels):
    """What ONNX Runtime gives, as (n, d)."""
    run, ready = engine
    return numpy.asarray(run(ready(pixels))).reshape(len(pixels), -1)
