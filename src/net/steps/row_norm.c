/* Each number of a row to a power, or divided by what the squares of its row come to: of all channels, or of those
 * around it. In float64, sums one after another. Logarithm and exponential are our own: the last digits of the
 * system's differ between its versions. */
#include <math.h>

#include "net/graph_node.h"
#include "net/step.h"

/* log(x), x positive and normal: x = m 2^e with m from 1 / sqrt(2) to sqrt(2), and log(m) = 2 atanh(s) with
 * s = (m - 1) / (m + 1), at most 0.172. The series of atanh is cut where its terms are below 2^-56. */
static double log_of(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int32_t e = (int32_t)(bits >> 52) - 1023;
    bits = (bits & 0xfffffffffffff) | (uint64_t)1023 << 52;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) m /= 2, e++;
    const double s = (m - 1) / (m + 1), z = s * s;
    double sum = 0;
    for (int k = 21; k >= 1; k -= 2) sum = sum * z + 1.0 / k;
    return 2 * s * sum + e * 0.69314718055994531;
}

/* exp(x) = 2^n exp(r), r at most ln 2 / 2; by its series. 0 and infinity where a double ends. */
static double exp_of(double x) {
    if (x < -708) return 0;
    if (x > 709) return 1e308 * 10;
    const int32_t n = (int32_t)(x * 1.4426950408889634 + (x < 0 ? -0.5 : 0.5));
    const double r = x - n * 0.69314718055994531;
    double sum = 1;
    for (int k = 14; k >= 1; k--) sum = 1 + sum * r / k;
    const uint64_t bits = (uint64_t)(n + 1023) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    return sum * power;
}

/* max(x, 0)^p, p not 0. Numbers below float32's normal ones count as 0. */
static double power_of(double x, double p) {
    if (!(x >= 1.1754943508222875e-38)) return p > 0 ? 0 : 1e308 * 10;
    return exp_of(p * log_of(x));
}

static void l2_norm(const cl_node *node, const float *in, float *out) {
    double sum = 0;
    for (int32_t c = 0; c < node->channels; c++) sum += (double)in[c] * (double)in[c];
    const double root = sqrt(sum), by = root > node->epsilon ? root : node->epsilon;
    for (int32_t c = 0; c < node->channels; c++) out[c] = by > 0 ? (float)((double)in[c] / by) : 0;
}

static void local_response_norm(const cl_node *node, const float *in, float *out) {
    const int32_t before = (node->local.size - 1) / 2, after = node->local.size - 1 - before;
    for (int32_t c = 0; c < node->channels; c++) {
        const int32_t first = c > before ? c - before : 0;
        const int32_t last = c + after < node->channels ? c + after : node->channels - 1;
        double sum = 0;
        for (int32_t i = first; i <= last; i++) sum += (double)in[i] * (double)in[i];
        const double base = node->local.bias + node->local.alpha / node->local.size * sum;
        out[c] = (float)((double)in[c] * power_of(base, -node->local.beta));
    }
}

/* As in generalised mean pooling. */
static void powers(const cl_node *node, const float *in, float *out) {
    for (int32_t c = 0; c < node->channels; c++) out[c] = (float)power_of((double)in[c], node->exponent);
}

static void run_all(const cl_run *run, const cl_step *step) {
    const cl_value *value = cl_step_output(run->plan, step);
    const float *in = cl_value_data(run, step->inputs[0]);
    float *out = cl_value_data(run, step->output);
    for (int64_t r = 0; r < value->rows * run->images; r++, in += value->stride, out += value->stride) {
        switch (step->node->op) {
        case CL_OP_L2_NORM: l2_norm(step->node, in, out); break;
        case CL_OP_POWER: powers(step->node, in, out); break;
        default: local_response_norm(step->node, in, out); break;
        }
        for (int64_t c = value->channels; c < value->stride; c++) out[c] = 0;
    }
}

coulis_status cl_read_power(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    return cl_read_number(r, json, "exponent", false, 1e-3, 1e3, &node->exponent);
}

coulis_status cl_read_local(const cl_graph_reader *r, const cJSON *json, const cl_graph *graph, cl_node *node) {
    (void)graph;
    coulis_status status = cl_read_whole(r, json, "size", 1, CL_KERNEL_MAX, &node->local.size);
    if (!status) status = cl_read_number(r, json, "alpha", false, 0, 1e6, &node->local.alpha);
    if (!status) status = cl_read_number(r, json, "beta", false, 1e-3, 1e3, &node->local.beta);
    return status ? status : cl_read_number(r, json, "bias", false, 1e-6, 1e6, &node->local.bias);
}

const cl_step_ops cl_step_row_norm = {.flags = CL_STEP_ACTIVATES, .run = run_all};
