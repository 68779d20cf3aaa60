"""Networks of keras.applications, exported by tf2onnx and imported, against Keras itself and ONNX Runtime.

Part of the group `keras`, whose environment has Keras and tf2onnx. Published weights cannot be fetched here, so they
are random. Batch-norm statistics are close to those of the images, as they are after training: otherwise deep networks
give the same features for every image, which proves nothing.
"""

import os

import numpy
import onnx
import pytest
from coulis.convert import graph, onnx_import, safetensors_file
from net_helpers import COSINE, features
from real_images import COUNT, real_images

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
keras = pytest.importorskip("keras", reason="no keras: the group `keras` has an environment with it")

from torch_exports import session  # noqa: E402


def narrow_vgg16():
    """VGG16 with dense layers of 64 in place of 4,096: tf2onnx copies weights so often that 138 million take 25 GB."""
    base = keras.applications.VGG16(weights=None, include_top=False, input_shape=(224, 224, 3))
    x = keras.layers.Flatten(name="flatten")(base.output)
    for name in ("fc1", "fc2"):
        x = keras.layers.Dense(64, activation="relu", name=name)(x)
    return keras.Model(base.input, keras.layers.Dense(10, activation="softmax", name="predictions")(x))


# how to make it, how its images are prepared, the layer of the feature map, that of the pooled vector
NETWORKS = {
    "ResNet50": (keras.applications.ResNet50, "caffe", "conv5_block3_out", "avg_pool"),
    "ResNet50V2": (keras.applications.ResNet50V2, "tf", "post_relu", "avg_pool"),
    "MobileNetV2": (keras.applications.MobileNetV2, "tf", "out_relu", "global_average_pooling2d"),
    "VGG16": (lambda weights: narrow_vgg16(), "caffe", "block5_pool", None),
    "InceptionV3": (keras.applications.InceptionV3, "tf", "mixed10", "avg_pool"),
    "DenseNet121": (keras.applications.DenseNet121, "torch", "relu", "avg_pool"),
    "EfficientNetB0": (keras.applications.EfficientNetB0, None, "top_activation", "avg_pool"),
}

# What keras.applications' preprocess_input does, by the mode that it has for the network.
PREPARE = {
    "caffe": lambda x: keras.applications.resnet.preprocess_input(x),
    "tf": lambda x: keras.applications.mobilenet_v2.preprocess_input(x),
    "torch": lambda x: keras.applications.densenet.preprocess_input(x),
    None: lambda x: x,
}


def give_weights(model, images):
    """Seeded weights (He et al., 2015: variance 2 over the inputs of a neuron) and statistics of the images."""
    generator = numpy.random.default_rng(11)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for weight in model.weights:
        kind, shape = weight.path.rpartition("/")[2], tuple(weight.shape)
        if kind == "kernel":
            depthwise = "depthwise" in weight.path or "dwconv" in weight.path
            fan = numpy.prod(shape[:2]) if depthwise else numpy.prod(shape[:-1])
            weight.assign(generator.standard_normal(shape) * numpy.sqrt(2 / fan))
        elif kind == "gamma":
            weight.assign(generator.normal(1, 0.1, shape))
        elif kind in ("beta", "bias"):
            weight.assign(generator.normal(0, 0.1, shape))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):  # ImageNet's statistics, as the published EfficientNetB0 has
            layer.adapt_mean.assign([0.485, 0.456, 0.406])
            layer.adapt_variance.assign([0.229**2, 0.224**2, 0.225**2])
            layer.finalize_state()
    for layer in norms:
        layer.momentum = 0.0  # the statistics of one batch replace what was there
    model(images, training=True)
    for layer in norms:
        deviation = numpy.sqrt(numpy.asarray(layer.moving_variance))
        layer.moving_mean.assign_add(generator.normal(0, 0.1, deviation.shape) * deviation)
        layer.moving_variance.assign(deviation**2 * generator.uniform(0.9, 1.1, deviation.shape))


def export(model, path):
    import tensorflow
    import tf2onnx

    signature = [tensorflow.TensorSpec((None, *model.input_shape[1:]), tensorflow.float32, name="input")]
    made, _ = tf2onnx.convert.from_keras(model, input_signature=signature, output_path=str(path))
    return made


def flat(values):
    return numpy.asarray(values).reshape(len(values), -1)


def assert_same_direction(found, wanted):
    """Cosines alone: with random weights, a hundred layers make much of each rounding, and tf2onnx rounds some anew."""
    assert found.shape == wanted.shape == (COUNT, wanted.shape[1])
    found, wanted = found.astype(float), wanted.astype(float)
    cosine = (found * wanted).sum(1) / numpy.linalg.norm(found, axis=1) / numpy.linalg.norm(wanted, axis=1)
    print(f"cosine {cosine.min():.9f} and more")
    assert cosine.min() >= COSINE


# Each takes half a minute to two; COULIS_TEST_LONG=1 takes all.
ORDINARY = ("MobileNetV2", "EfficientNetB0")


@pytest.mark.parametrize("name", NETWORKS if os.environ.get("COULIS_TEST_LONG") else ORDINARY)
def test_features_are_those_of_keras_and_onnx_runtime(name, tmp_path):
    make, preprocessing, map_layer, pooled_layer = NETWORKS[name]
    keras.utils.clear_session()
    model = make(weights=None)
    height, width = model.input_shape[1:3]
    pixels = real_images(height, width)
    prepared = PREPARE[preprocessing](pixels.astype(numpy.float32))
    give_weights(model, prepared[::3])  # some of each kind of image

    made = export(model, tmp_path / "net.onnx")
    options = onnx_import.Options(preprocessing)
    description, tensors = onnx_import.convert(tmp_path / "net.onnx", name, options)
    safetensors_file.write(tmp_path / "net.safetensors", tensors, graph.metadata(description))
    assert (description["input"]["height"], description["input"]["width"]) == (height, width)
    found = {kind: features(tmp_path / "net.safetensors", kind, pixels) for kind in ("map", "pooled", "logits")}

    layers = [model.get_layer(layer).output for layer in (map_layer, pooled_layer) if layer]
    outputs = [
        flat(values)
        for values in keras.Model(model.input, [*layers, model.output]).predict(prepared, batch_size=10, verbose=0)
    ]
    channels = layers[0].shape[-1]
    if not pooled_layer:
        outputs.insert(1, outputs[0].reshape(COUNT, -1, channels).mean(1))
    directions = outputs[1] / numpy.linalg.norm(outputs[1], axis=1, keepdims=True)
    assert (directions @ directions.T).min() < 0.99  # or the images' features would be all the same
    assert_same_direction(found["map"], outputs[0])
    assert_same_direction(found["pooled"], outputs[1])
    powers = numpy.exp(found["logits"] - found["logits"].max(1, keepdims=True))
    assert_same_direction(powers / powers.sum(1, keepdims=True), outputs[2])

    # ONNX Runtime, on the file's own nodes of these names.
    nodes = {node.name: node.output[0] for node in made.graph.node}
    names = [nodes[description["features"][kind]] for kind in ("map", "pooled") if pooled_layer or kind == "map"]
    made.graph.output.extend(onnx.ValueInfoProto(name=output) for output in names)
    values = session(made).run(names, {"input": prepared})
    assert_same_direction(found["map"], flat(values[0].transpose(0, 2, 3, 1)))
    if pooled_layer:
        assert_same_direction(found["pooled"], flat(values[1]))
