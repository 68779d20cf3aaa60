/* Descriptions of networks with random damage, under whatever sanitizer is built in: each is refused with a sentence,
 * or is a network that runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "net/plan.h"
#include "random.h"
#include "test.h"

#define TEXT_MAX 8192
#define DAMAGED 1500

static const char good[] =
    "{'format':1,'name':'tiny','input':{'width':16,'height':12,'channels':'RGB','mean':[1,2,3],'std':[4,5,6]},'nodes':["
    "{'name':'patch','op':'conv','inputs':['image'],'weight':'w','channels':12,'kernel':[4,4],'stride':[4,4]},"
    "{'name':'tokens','op':'tokens','inputs':['patch'],'prefix':'p','before':2,'position':'q'},"
    "{'name':'norm','op':'layer_norm','inputs':['tokens'],'scale':'a','shift':'b','epsilon':1e-6},"
    "{'name':'qkv','op':'dense','inputs':['norm'],'weight':'w','bias':'b','units':36},"
    "{'name':'attention','op':'attention','inputs':['qkv'],'heads':3,'scale':0.5,'causal':true},"
    "{'name':'back','op':'dense','inputs':['attention'],'weight':'w','units':12},"
    "{'name':'small','op':'scale','inputs':['back'],'scale':'a'},"
    "{'name':'sum','op':'add','inputs':['small','tokens']},"
    "{'name':'wide','op':'dense','inputs':['sum'],'weight':'w','bias':'b','units':24},"
    "{'name':'gelu','op':'gelu','inputs':['wide'],'form':'tanh'},"
    "{'name':'pool','op':'attention_pool','inputs':['gelu'],'heads':2,'query':'q'},"
    "{'name':'cross','op':'attention','inputs':['norm','gelu'],'heads':4},"
    "{'name':'cls','op':'take','inputs':['cross'],'first':0,'count':1},"
    "{'name':'rest','op':'take','inputs':['cross'],'first':2,'count':12},"
    "{'name':'length','op':'l2_norm','inputs':['cls'],'epsilon':1e-12},"
    "{'name':'seven','op':'conv','inputs':['patch'],'weight':'w','channels':12,'kernel':[7,7],'padding':[3,3,3,3],"
    "'groups':12},"
    "{'name':'grn','op':'grn','inputs':['seven'],'scale':'a','shift':'b','epsilon':1e-6},"
    "{'name':'prelu','op':'prelu','inputs':['grn'],'slope':'s'},"
    "{'name':'local','op':'local_response_norm','inputs':['prelu'],'size':5,'alpha':1e-3,'beta':0.75,'bias':1},"
    "{'name':'power','op':'power','inputs':['local'],'exponent':3}"
    "],'features':{'pooled':'pool','cls':'length','tokens':'rest','map':'power','default':'cls'}}";

static char path[] = "/tmp/coulis-test-damaged-XXXXXX.graph.json";

static uint32_t below(uint32_t n) { return (next_bits() >> 8) % n; }

/* Replaces text[first .. first + count - 1] by `by`. */
static void replace(char *text, size_t first, size_t count, const char *by) {
    const size_t length = strlen(text), more = strlen(by);
    if (length - count + more >= TEXT_MAX) return;
    memmove(text + first + more, text + first + count, length - first - count + 1);
    memcpy(text + first, by, more);
}

/* The beginning and length of a random run of characters that `inside` accepts. */
static size_t find_run(const char *text, int (*inside)(int c), size_t *count) {
    size_t first = below((uint32_t)strlen(text));
    while (text[first] && !inside((unsigned char)text[first])) first++;
    while (first > 0 && text[first] && inside((unsigned char)text[first - 1])) first--;
    for (*count = 0; text[first + *count] && inside((unsigned char)text[first + *count]); (*count)++) continue;
    return first;
}

static int in_number(int c) { return (c >= '0' && c <= '9') || c == '.' || c == '-'; }
static int in_word(int c) { return (c >= 'a' && c <= 'z') || c == '_'; }

static void damage(char *text) {
    static const char *const numbers[] = {"0",          "-1",         "1",    "2",    "3",     "7",     "12",
                                          "13",         "64",         "65",   "1e30", "1e999", "0.5",   "2147483647",
                                          "2147483648", "4294967296", "null", "'1'",  "[]",    "1e-300"};
    static const char *const words[] = {"image",          "patch",    "tokens",  "norm",  "qkv",
                                        "attention",      "gelu",     "cross",   "cls",   "rest",
                                        "take",           "dense",    "conv",    "scale", "heads",
                                        "attention_pool", "flatten",  "concat",  "slice", "global_average_pool",
                                        "seven",          "multiply", "softmax", ""};
    size_t count, first;
    switch (below(8)) {
    case 0: /* a character is lost */ replace(text, below((uint32_t)strlen(text)), 1, ""); break;
    case 1: /* the end is lost */ text[below((uint32_t)strlen(text))] = 0; break;
    case 2:
    case 3:
    case 4:
        first = find_run(text, in_number, &count);
        replace(text, first, count, numbers[below(sizeof numbers / sizeof *numbers)]);
        break;
    default:
        first = find_run(text, in_word, &count);
        replace(text, first, count, words[below(sizeof words / sizeof *words)]);
        break;
    }
}

static void write_text(const char *text) {
    FILE *out = fopen(path, "w");
    CHECK(out != NULL);
    if (!out) return;
    for (const char *c = text; *c; c++) fputc(*c == '\'' ? '"' : *c, out);
    CHECK(fclose(out) == 0);
}

/* Runs what is small enough to be run often. */
static void run_network(const coulis_model *model) {
    const cl_graph *graph = cl_model_graph(model);
    coulis_error error;
    for (int32_t node = 1; node < graph->node_count; node++) {
        cl_plan *plan = NULL;
        if (cl_graph_multiply_adds(graph, node) > 3000000 || (int64_t)graph->width * graph->height > 10000) return;
        if (cl_plan_create(model, node, COULIS_PRECISION_FLOAT32, &plan, &error) != COULIS_OK) {
            CHECK_MSG(error.message[0], "node %d", node);
            continue;
        }
        if (plan->workspace_count < 4000000 && plan->length < 1000000) {
            uint8_t *rgb = cl_alloc_zero((size_t)plan->values[0].size, 1);
            float *workspace = cl_alloc((size_t)plan->workspace_count, sizeof *workspace);
            float *out = cl_alloc((size_t)plan->length, sizeof *out);
            const uint8_t *const images[] = {rgb};
            cl_plan_run(plan, 1, images, workspace, &out);
            cl_free(rgb), cl_free(workspace), cl_free(out);
        }
        cl_plan_free(plan);
    }
}

static coulis_status open_text(const char *text, coulis_error *error) {
    coulis_model_options options;
    coulis_model_options_init(&options, sizeof options);
    options.random_weights = 1;
    coulis_model *model = NULL;
    write_text(text);
    const coulis_status status = coulis_model_open(path, &options, &model, error);
    if (status == COULIS_OK) run_network(model);
    coulis_model_close(model);
    return status;
}

static void the_good_one_runs(void) {
    coulis_error error;
    CHECK_MSG(open_text(good, &error) == COULIS_OK, "%s", error.message);
}

static void damaged_ones_are_refused_or_run(void) {
    int refused = 0;
    for (int i = 0; i < DAMAGED; i++) {
        char text[TEXT_MAX];
        coulis_error error;
        strcpy(text, good);
        for (uint32_t times = 1 + below(3); times > 0 && *text; times--) damage(text);
        const coulis_status status = open_text(text, &error);
        if (status == COULIS_OK) continue;
        refused++;
        CHECK_MSG((status == COULIS_BAD_MODEL || status == COULIS_NO_MEMORY) && strstr(error.message, "coulis-test"),
                  "%d: %d %s", i, (int)status, error.message);
    }
    CHECK_MSG(refused > 200 && refused < DAMAGED, "%d refused", refused);
}

int main(void) {
    const int file = mkstemps(path, 11);
    if (file >= 0) close(file);
    RUN(the_good_one_runs);
    RUN(damaged_ones_are_refused_or_run);
    unlink(path);
    return test_finish();
}
