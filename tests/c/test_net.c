/* Every operator of the model format in one network, run under whatever sanitizer is built in. Whether the numbers are
 * right is a question for tests/python/test_operators.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "net/plan.h"
#include "test.h"

#define SIDE 37 /* large enough for streamed steps and steps that run for all images together */

static char path[] = "/tmp/coulis-test-net-XXXXXX.graph.json";

#define CONV(name, input, more) "{'name':'" name "','op':'conv','inputs':['" input "'],'weight':'w'," more "}"
#define NODE(name, op, inputs, more) "{'name':'" name "','op':'" op "','inputs':[" inputs "]" more "}"

/* One node per line: */
/* clang-format off */
static const char nodes[] =
    NODE("norm", "batch_norm", "'image'", ",'scale':'a','shift':'b','mean':'c','variance':'d','epsilon':0.1") ","
    NODE("padded", "pad", "'norm'", ",'padding':[1,2,0,1],'value':0.5") ","
    NODE("zeros", "pad", "'image'", ",'padding':[1,1,1,1]") ","
    CONV("stem", "zeros", "'channels':12,'kernel':[3,3]") ","
    NODE("swish", "swish", "'stem'", "") ","
    CONV("depthwise", "swish", "'channels':12,'kernel':[5,5],'padding':'same','groups':12") ","
    NODE("hard_swish", "hard_swish", "'depthwise'", "") ","
    NODE("mean", "global_average_pool", "'hard_swish'", "") ","
    NODE("gate", "sigmoid", "'mean'", "") ","
    NODE("gated", "multiply", "'hard_swish','gate'", "") ","
    CONV("groups", "gated", "'channels':18,'kernel':[3,1],'groups':6,'padding':'same','dilation':[2,1],'bias':'b'") ","
    CONV("expand", "groups", "'channels':20,'kernel':[1,1]") ","
    NODE("leaky", "leaky_relu", "'expand'", ",'slope':0.1") ","
    CONV("second", "leaky", "'channels':20,'kernel':[3,3],'padding':'same','groups':20") ","
    NODE("sum", "add", "'second','leaky'", "") ","
    NODE("clip", "clip", "'sum'", ",'low':-1,'high':2") ","
    NODE("pooled", "max_pool", "'clip'", ",'kernel':[3,3],'stride':[3,3],'padding':'same'") ","
    CONV("winograd", "pooled", "'channels':24,'kernel':[3,3],'padding':'same'") ","
    NODE("relu", "relu", "'winograd'", "") ","
    NODE("average", "average_pool", "'pooled'", ",'kernel':[3,3],'padding':[1,1,1,1],'count_include_pad':true") ","
    NODE("together", "concat", "'relu','average','pooled'", "") ","
    NODE("shuffled", "shuffle", "'together'", ",'groups':16") ","
    NODE("part", "slice", "'shuffled'", ",'first':7,'channels':20") ","
    NODE("difference", "subtract", "'part','average'", "") ","
    NODE("most", "global_max_pool", "'difference'", "") ","
    NODE("hard", "hard_sigmoid", "'most'", ",'alpha':0.2,'beta':0.5") ","
    NODE("quotient", "divide", "'difference','hard'", "") ","
    NODE("relu6", "relu6", "'quotient'", "") ","
    NODE("flat", "flatten", "'relu6'", "") ","
    NODE("dense", "dense", "'flat'", ",'weight':'w','bias':'b','units':30") ","
    NODE("corner", "conv", "'padded'", ",'weight':'w','channels':30,'kernel':[9,9],'stride':[9,9]") ","
    NODE("corner_mean", "global_average_pool", "'corner'", "") ","
    NODE("all", "concat", "'dense','corner_mean'", "") ","
    NODE("softmax", "softmax", "'all'", "") ","
    NODE("tokens", "tokens", "'relu6'", ",'prefix':'p','before':3,'position':'q'") ","
    NODE("first", "layer_norm", "'tokens'", ",'scale':'a','shift':'b','epsilon':1e-6") ","
    NODE("qkv", "dense", "'first'", ",'weight':'w','bias':'b','units':72") ","
    NODE("attention", "attention", "'qkv'", ",'heads':3") ","
    NODE("back", "dense", "'attention'", ",'weight':'w','bias':'b','units':20") ","
    NODE("layer_scale", "scale", "'back'", ",'scale':'a'") ","
    NODE("residual", "add", "'layer_scale','tokens'", "") ","
    NODE("second_norm", "layer_norm", "'residual'", ",'epsilon':1e-6") ","
    NODE("wide", "dense", "'second_norm'", ",'weight':'w','units':40") ","
    NODE("gelu", "gelu", "'wide'", ",'form':'erf'") ","
    NODE("left", "slice", "'gelu'", ",'first':0,'channels':20") ","
    NODE("right", "slice", "'gelu'", ",'first':20,'channels':20") ","
    NODE("quick", "gelu", "'right'", ",'form':'quick'") ","
    NODE("both", "multiply", "'left','quick'", "") ","
    NODE("cls", "take", "'both'", ",'first':0,'count':1") ","
    NODE("patches", "take", "'both'", ",'first':3,'count':49") ","
    NODE("pooling", "attention_pool", "'wide'", ",'heads':4,'query':'q','scale':0.3") ","
    NODE("cross", "attention", "'cls','wide'", ",'heads':2") ","
    NODE("causal", "attention", "'qkv'", ",'heads':1,'causal':true") ","
    NODE("tanh", "tanh", "'cross'", "") ","
    NODE("tanh_gelu", "gelu", "'tanh'", ",'form':'tanh'") ","
    NODE("length_1", "l2_norm", "'tanh_gelu'", ",'epsilon':1e-12") ","
    CONV("seven", "gated", "'channels':12,'kernel':[7,7],'padding':'same','groups':12") ","
    NODE("channel_norm", "layer_norm", "'seven'", ",'scale':'a','shift':'b','epsilon':1e-6") ","
    NODE("widened", "dense", "'channel_norm'", ",'weight':'w','bias':'b','units':24") ","
    NODE("widened_gelu", "gelu", "'widened'", ",'form':'tanh'") ","
    NODE("grn", "grn", "'widened_gelu'", ",'scale':'a','shift':'b','epsilon':1e-6") ","
    NODE("prelu", "prelu", "'grn'", ",'slope':'s'") ","
    NODE("local", "local_response_norm", "'prelu'", ",'size':5,'alpha':1e-3,'beta':0.75,'bias':1") ","
    NODE("power", "power", "'local'", ",'exponent':3");
/* clang-format on */

static coulis_status open_model(coulis_model **model, coulis_error *error) {
    coulis_model_options options;
    coulis_model_options_init(&options, sizeof options);
    options.random_weights = 1;
    return coulis_model_open(path, &options, model, error);
}

static void write_graph(void) {
    int file = mkstemps(path, 11);
    FILE *out = file >= 0 ? fdopen(file, "w") : NULL;
    CHECK(out != NULL);
    if (!out) return;
    static const char head[] = "{'format':1,'name':'all','input':{'width':37,'height':37,'channels':'RGB',"
                               "'mean':[127,127,127],'std':[128,128,128]},'nodes':[";
    static const char tail[] = "],'features':{'map':'relu6','pooled':'softmax','logits':'padded'}}";
    const char *const parts[] = {head, nodes, tail};
    for (int i = 0; i < 3; i++)
        for (const char *c = parts[i]; *c; c++) fputc(*c == '\'' ? '"' : *c, out);
    CHECK(fclose(out) == 0);
}

static void fill(uint8_t *pixels, uint32_t seed) {
    for (int i = 0; i < SIDE * SIDE * 3; i++) pixels[i] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24);
}

/* An image gives the same bytes among others as alone, in a workspace that holds rubbish. */
static void check_output(const coulis_model *model, int32_t output, int32_t precision) {
    coulis_error error;
    cl_plan *plan = NULL;
    CHECK_MSG(cl_plan_create(model, output, precision, &plan, &error) == COULIS_OK, "%s", error.message);
    if (!plan) return;
    static uint8_t pixels[CL_PLAN_IMAGES][SIDE * SIDE * 3];
    const uint8_t *rgb[CL_PLAN_IMAGES];
    float *out[CL_PLAN_IMAGES], *alone = cl_alloc((size_t)plan->length, sizeof *alone);
    for (uint32_t p = 0; p < CL_PLAN_IMAGES; p++) {
        fill(pixels[p], p);
        rgb[p] = pixels[p];
        out[p] = cl_alloc((size_t)plan->length, sizeof **out);
    }
    float *workspace = cl_alloc((size_t)plan->workspace_count, sizeof *workspace);
    memset(workspace, 0xff, (size_t)plan->workspace_count * sizeof *workspace); /* NaN */
    cl_plan_run(plan, CL_PLAN_IMAGES, rgb, workspace, out);
    for (int p = 0; p < CL_PLAN_IMAGES; p++) {
        memset(workspace, 0xff, (size_t)plan->workspace_count * sizeof *workspace);
        cl_plan_run(plan, 1, &rgb[p], workspace, &alone);
        CHECK_MSG(memcmp(alone, out[p], (size_t)plan->length * sizeof *alone) == 0, "node %d, precision %d, image %d",
                  output, precision, p);
        double sum = 0;
        for (int64_t i = 0; i < plan->length; i++) sum += (double)alone[i] * (double)alone[i];
        CHECK_MSG(sum > 0 && sum < 1e9, "node %d, image %d: %g", output, p, sum);
        cl_free(out[p]);
    }
    cl_free(alone);
    cl_free(workspace);
    cl_plan_free(plan);
}

static void every_node_can_be_the_output(void) {
    coulis_error error;
    coulis_model *model = NULL;
    CHECK_MSG(open_model(&model, &error) == COULIS_OK, "%s", error.message);
    if (!model) return;
    for (int32_t i = 1; i < cl_model_graph(model)->node_count; i += test_is_slow() ? 4 : 1)
        for (int32_t precision = COULIS_PRECISION_FLOAT32; precision <= COULIS_PRECISION_INT8; precision++)
            check_output(model, i, precision);
    coulis_model_close(model);
}

/* Each allocation of opening and planning is made to fail once. */
static void want_of_memory_is_an_error(void) {
    int failures = 0;
    for (int64_t n = 1; n < 10000; n++) {
        coulis_error error;
        coulis_model *model = NULL;
        cl_plan *plan = NULL;
        cl_test_fail_allocation(n);
        coulis_status status = open_model(&model, &error);
        if (status == COULIS_OK)
            status = cl_plan_create(model, cl_graph_features(cl_model_graph(model), COULIS_FEATURES_POOLED),
                                    COULIS_PRECISION_FLOAT32, &plan, &error);
        cl_test_fail_allocation(0);
        cl_plan_free(plan);
        coulis_model_close(model);
        if (status == COULIS_OK) break;
        CHECK_MSG(status == COULIS_NO_MEMORY && error.message[0], "allocation %d: %s", (int)n, error.message);
        failures++;
    }
    CHECK(failures > 20);
}

int main(int argc, char **argv) {
    test_start(argc, argv);
    write_graph(); /* also when one test is asked for by name */
    RUN(every_node_can_be_the_output);
    RUN(want_of_memory_is_an_error);
    unlink(path);
    return test_finish();
}
